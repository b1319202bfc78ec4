"""Where imported memories come from: a repository, by whatever checkout, or a folder outside of one."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mahavishnu.base.identifiers import bounded
from mahavishnu.knowledge.identity import Aliases

MAX_IDENTITY = 120  # characters; it begins every key of the source


@dataclass(frozen=True)
class Source:
    """
    What an import reads. `within` precedes each path: the folder's place in the repository.

    `repository` is None for a folder outside of one, whose full path is `within`. `folder` is the full
    path of a repository's: what it brought before it was one has keys that begin with it. It is None
    where a folder around the repository was imported too, whose keys begin alike.
    """

    repository: str | None
    within: str
    folder: str | None = None
    aliases: Aliases | None = None

    @property
    def prefix(self) -> str:
        """What the keys of this source begin with; no other source has keys that do."""
        return f"{self.repository}:{self.within}" if self.repository else self.within

    @property
    def record(self) -> dict[str, Any]:
        """What the import's row keeps of the source, by which later ones recognise it."""
        aliases = self.aliases and asdict(self.aliases)
        return {"repository": self.repository, "within": self.within, "aliases": aliases}


def name_repository(aliases: Aliases, imports: Iterable[Mapping[str, Any]]) -> str:
    """
    Return what a repository is called in the keys of its memories, the same as in earlier imports.

    `imports` are rows of the project's, the latest first. A new one is called by its remote, else its
    first commit, else its path.
    """
    taken = set()
    for row in imports:
        record = row["metadata"]
        if record.get("repository") is None:
            continue
        if _are_same(aliases, Aliases(**record["aliases"])):
            return str(record["repository"])
        taken.add(record["repository"])
    name = base = bounded(aliases.remote or aliases.root or aliases.path, at_most=MAX_IDENTITY)
    repeat = 1
    while name in taken:
        repeat += 1
        name = f"{base}~{repeat}"
    return name


def _are_same(one: Aliases, other: Aliases) -> bool:
    """
    Tell whether a checkout and the one of an earlier import are of one repository.

    A remote decides. In the same place it is the same one, unless remote and first commit are both
    others. Without remotes a first commit is that of a repository which moved, or of a copy: it moved
    where nothing is left of the earlier place. `may_be_another` finds those in one place that are doubtful.
    """
    if one.remote and one.remote == other.remote:
        return True
    if one.path == other.path:
        return one.root == other.root or not (one.remote and other.remote)
    moved = bool(one.root) and one.root == other.root and not Path(other.path).exists()
    return not one.remote and not other.remote and moved


def may_be_another(source: Source, imports: Iterable[Mapping[str, Any]]) -> bool:
    """
    Tell whether a repository may be another than the one that its folder held at earlier imports.

    It may where the first commit is another and the remote is not the same. The latest completed import
    that read all of the folder is the last one that counts.
    """
    if source.aliases is None:
        return False
    for row in imports:
        record = row["metadata"]
        if record.get("repository") != source.repository:
            continue
        within = record.get("within", "")
        read_all = source.within.startswith(within)
        if not read_all and not within.startswith(source.within):
            continue  # a folder beside this one
        former = Aliases(**record["aliases"])
        same_remote = former.remote is not None and former.remote == source.aliases.remote
        if not same_remote and former.root not in (None, source.aliases.root):
            return True
        if read_all and row["completed"]:
            return False
    return False
