"""Split Markdown into sections that can stand alone. Pure but for `read_documents`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from mahavishnu.base.identifiers import bounded
from mahavishnu.memory.models import MAX_CONTENT_BYTES

if TYPE_CHECKING:
    from markdown_it.token import Token

SUFFIXES = frozenset({".md", ".markdown", ".mdown"})
SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "venv"})  # and all hidden ones
MAX_KEY = 600  # characters; a folder's path may come before
MAX_FILE_BYTES = 8 * MAX_CONTENT_BYTES


@dataclass(frozen=True)
class Section:
    """
    A heading with the text below it, up to the next heading.

    `key` is stable while the heading stays: the path and the heading's slug. `trail` are the
    headings above it, outermost first. Lines count from 1, inclusive.
    """

    path: str
    key: str
    heading: str
    trail: tuple[str, ...]
    content: str
    start_line: int
    end_line: int


@dataclass(frozen=True)
class Skipped:
    """A file that was passed over, and why."""

    path: str
    reason: str


def read_documents(folder: Path) -> Iterator[Section | Skipped]:
    """Yield the sections of every Markdown file below `folder`, in the order of their paths."""
    top = folder.resolve()
    for path in sorted(top.rglob("*")):
        relative = path.relative_to(top)
        if path.suffix.lower() not in SUFFIXES or is_left_out(relative):
            continue
        shown = relative.as_posix()
        if not shown.isascii() and not _is_unicode(shown):
            yield Skipped(shown.encode("utf-8", "replace").decode(), "name is not UTF-8")
            continue
        if not path.resolve().is_relative_to(top):
            yield Skipped(shown, "leads out of the folder")
            continue
        if not path.is_file():
            continue
        if path.stat().st_size > MAX_FILE_BYTES:
            yield Skipped(shown, "too large")
            continue
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            yield Skipped(shown, "not UTF-8")
            continue
        except OSError as error:
            yield Skipped(shown, error.strerror or "unreadable")
            continue
        if "\x00" in text:  # PostgreSQL cannot store it, and another text would not be the file's
            yield Skipped(shown, "holds a NUL byte")
            continue
        yield from split_sections(text, path=shown)


def is_left_out(relative: PurePath) -> bool:
    """Tell whether a path within an imported folder is in one of the folders that are not read."""
    return any(part.startswith(".") or part in SKIPPED_FOLDERS for part in relative.parts[:-1])


def split_sections(text: str, *, path: str) -> Iterator[Section]:
    """Yield the sections of one document; text before the first heading is a section of its own."""
    text = _without_front_matter(text.replace("\r\n", "\n").replace("\r", "\n"))
    lines = text.removesuffix("\n").split("\n")
    marks = [
        (token.map[0], int(token.tag[1:]), inline.content)
        for token, inline in _headings(text)
        if token.map is not None
    ]
    starts = [(0, 0, ""), *marks] if not marks or marks[0][0] > 0 else marks
    trail: list[tuple[int, str]] = []
    taken: set[str] = set()
    for number, (line, level, heading) in enumerate(starts):
        end = starts[number + 1][0] if number + 1 < len(starts) else len(lines)
        trail = [above for above in trail if above[0] < level]
        content = "\n".join(lines[line:end]).strip()
        above = tuple(title for _, title in trail)
        trail.append((level, heading))
        if not content:
            continue
        slug = base = _slug(heading)
        repeat = 1
        while slug in taken:
            repeat += 1
            slug = f"{base}-{repeat}"
        taken.add(slug)
        pieces = list(bounded_parts(content))
        for place, piece in enumerate(pieces):
            part = f"~{place + 1}" if place else ""
            key = bounded(f"{path}#{slug}{part}", at_most=MAX_KEY)
            yield Section(path, key, heading, above, piece, line + 1, end)


def _headings(text: str) -> Iterator[tuple["Token", "Token"]]:
    from markdown_it import MarkdownIt  # noqa: PLC0415 - costs what a whole search may take

    tokens = MarkdownIt("commonmark").parse(text)
    for token, following in pairwise(tokens):
        if token.type == "heading_open" and token.level == 0:
            yield token, following


def _without_front_matter(text: str) -> str:
    """Blank out a YAML head, which Markdown would take for a heading; line numbers stay."""
    head = re.match(r"---\n(.*?\n)(---|\.\.\.)(\n|$)", text, re.DOTALL)
    if head is None or not re.match(r"\w[\w-]*:", head[1]):
        return text
    return "\n" * head[0].count("\n") + text[head.end() :]


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _slug(heading: str) -> str:
    return re.sub(r"[^\w]+", "-", heading.lower()).strip("-")[:200] or "top"


def bounded_parts(content: str) -> Iterator[str]:
    """Yield a text that is too large for one memory in parts, cut at line ends."""
    limit = MAX_CONTENT_BYTES // 4  # four bytes are the longest UTF-8 character
    while len(content) > limit:
        cut = content.rfind("\n", 0, limit) + 1 or limit
        yield content[:cut]
        content = content[cut:]
    if content.strip():
        yield content
