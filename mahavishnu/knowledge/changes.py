"""What an import of documents would change. Pure: rows and sections in, a plan out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from mahavishnu.base.errors import UsageError
from mahavishnu.knowledge.markdown import Section, Skipped, is_left_out
from mahavishnu.knowledge.sources import Source
from mahavishnu.memory.models import NewMemory


@dataclass
class SourceChanges:
    """
    What brings the memories of one source in line with its documents.

    `adopted` are memories of older releases, which kept no repository: ids with their new keys.
    `known` counts the memories of the source, `gone` are those that no document holds any more.
    """

    known: int
    seen: int = 0
    documents: int = 0
    unchanged: int = 0
    fresh: list[NewMemory] = field(default_factory=list)
    adopted: list[tuple[UUID, str]] = field(default_factory=list)
    changed: list[tuple[UUID, NewMemory]] = field(default_factory=list)
    moved: list[tuple[UUID, dict[str, object], str]] = field(default_factory=list)
    gone: list[UUID] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def plan_changes(
    items: Iterable[Section | Skipped],
    rows: Iterable[Mapping[str, Any]],
    source: Source,
    *,
    project: str,
    owns_former: bool,
) -> SourceChanges:
    """
    Compare a source's documents with the live memories of its project.

    Memories of other sources are left alone. Those without a repository are this one's with
    `owns_former`, and where their keys have its folder; of the others only one that says the same is adopted.
    """
    known, former, own = _split_rows(rows, source)
    for sections in (known, former):
        for key in [key for key in sections if _is_left_out(key)]:
            del sections[key]  # only an import of that folder itself can have brought it
    own &= former.keys()
    if owns_former:
        own |= former.keys()
    plan = SourceChanges(known=len(known) + len(own))
    unread: list[str] = []
    last_read = ""
    for item in items:
        if isinstance(item, Skipped):
            plan.skipped.append(item)
            unread.append(f"{item.path}#")  # it is there: what is known of it stays
            continue
        plan.seen += 1
        plan.documents += item.path != last_read
        last_read = item.path
        new = memory_of_section(item, project=project, source=source)
        row = known.pop(item.key, None)
        if row is None and item.key in former:
            before = former[item.key]
            if item.key in own or before["content_hash"] == new.content_hash:
                row = former.pop(item.key)
                plan.adopted.append((row["id"], new.source_key))
        _compare(plan, row, new)
    left = known | {key: row for key, row in former.items() if key in own}
    plan.gone = [row["id"] for key, row in left.items() if not key.startswith(tuple(unread))]
    return plan


def _split_rows(
    rows: Iterable[Mapping[str, Any]], source: Source
) -> tuple[dict[str, Mapping[str, Any]], dict[str, Mapping[str, Any]], set[str]]:
    """
    Return the source's own memories, and those without a repository, by the keys of their sections.

    The third are the keys of the latter that the same folder brought before it was a repository.
    """
    known, former, own = {}, {}, set()
    for row in rows:
        key = row["source_key"]
        if row["repo_id"] == source.repository and key.startswith(source.prefix):
            known[key.removeprefix(source.prefix)] = row
        elif source.repository is None or row["repo_id"] is not None or not key:
            continue
        elif source.folder and key.startswith(f"{source.folder}/"):
            section = key.removeprefix(f"{source.folder}/")
            former[section] = row
            own.add(section)
        elif not key.startswith("/") and key.startswith(source.within):
            former.setdefault(key.removeprefix(source.within), row)
    return known, former, own


def _is_left_out(key: str) -> bool:
    path, _, _ = key.rpartition("#")
    return is_left_out(PurePosixPath(path or key))  # a key that was cut may have no heading


def _compare(plan: SourceChanges, row: Mapping[str, Any] | None, new: NewMemory) -> None:
    if row is None:
        plan.fresh.append(new)
    elif row["content_hash"] != new.content_hash:
        plan.changed.append((row["id"], new))
    else:
        plan.unchanged += 1
        if row["metadata"] != new.metadata:
            plan.moved.append((row["id"], dict(new.metadata), new.context))


def require_few_lost(plan: SourceChanges, *, may_be_another: bool) -> None:
    """
    Refuse to forget more than half of a source: likely it is the wrong folder, or half a checkout.

    Where the repository may be another one, changed memories count as well.
    """
    if 2 * len(plan.gone) > plan.known:
        raise UsageError(
            f"The import would forget {len(plan.gone)} of the {plan.known} memories of this source; "
            "nothing was changed.",
            hint="Look whether the folder is complete. To forget them, add --yes.",
            code="import.forgets_most",
        )
    lost = len(plan.gone) + len(plan.changed)
    if may_be_another and 2 * lost > plan.known:
        raise UsageError(
            f"The first commit is not that of the last import, and {lost} of the {plan.known} "
            "memories of this source would be forgotten or replaced; nothing was changed.",
            hint="If this is the same repository, add --yes. If it is another one, import it into "
            "another project: add --project NAME.",
            code="import.forgets_most",
        )


def memory_of_section(section: Section, *, project: str, source: Source) -> NewMemory:
    """Return the memory of a Markdown section; the headings above it are indexed with it."""
    return NewMemory(
        content=section.content,
        context=" > ".join((section.path, *section.trail)),
        collection="document",
        source_system="markdown",
        source_key=source.prefix + section.key,
        project=project,
        repo_id=source.repository,
        path=source.within + section.path if source.repository else section.path,
        metadata={"heading": section.heading, "start_line": section.start_line,
                  "end_line": section.end_line},
    )  # fmt: skip
