"""
Read `repos.yaml`: which repositories there are, their groups, and what each depends on.

    repositories:
      - name: api            # the folder's name by default
        path: ~/work/api     # or a glob: each folder that matches is a repository
        groups: [backend]
        depends_on: [models]
        include: ["src/**"]
        exclude: [docs]
"""

import difflib
import glob
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from mahavishnu.base.errors import MahavishnuError, NotFound, UsageError
from mahavishnu.knowledge.globs import check_glob
from mahavishnu.memory.checks import MAX_NAME_LENGTH

FIELDS = ("name", "path", "groups", "depends_on", "include", "exclude")


@dataclass(frozen=True)
class RepositoryEntry:
    """A repository that the file names; `line` is where its entry in `file` begins."""

    name: str
    path: Path
    groups: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    file: Path = Path()
    line: int = 0

    @contextmanager
    def named(self) -> Iterator[None]:
        """Let an error of the block say which entry it is about."""
        try:
            yield
        except MahavishnuError as error:
            message = f"{self.file}, line {self.line}: {error.message}"
            raise type(error)(message, hint=error.hint, code=error.code) from error


def read_repos_file(
    path: Path, *, home: Path, known: Collection[str] = ()
) -> list[RepositoryEntry]:
    """
    Return the repositories of a file, in its order; relative paths begin at its folder.

    `known` are names, beside those of the file, that `depends_on` may mention.

    Raises:
        NotFound: `repos.no_file`; `repos.no_folder`: a path or glob that matches no folder.
        UsageError: `repos.invalid`, with the line: it is not YAML, a key or a type is wrong, a name
            or a folder is there twice, a dependency is unknown.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError) as error:
        raise NotFound(f"There is no file {path}.", code="repos.no_file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise _invalid(path, 1, f"it cannot be read: {error}") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _invalid(path, line, f"not valid YAML: {error.problem}") from error
    except RecursionError as error:
        raise _invalid(path, 1, "it is nested too deeply") from error
    except yaml.YAMLError as error:
        raise _invalid(path, 1, "not valid YAML: it holds control characters") from error
    reader = _Reader(path, home)
    entries = [entry for node in reader.items(root) for entry in reader.entries(node)]
    reader.check_apart(entries)
    reader.check_dependencies(entries, known)
    return entries


class _Reader:
    """Turns the nodes of one file into entries; every error names its line."""

    def __init__(self, path: Path, home: Path) -> None:
        self._path = path
        self._home = home

    def items(self, root: yaml.Node | None) -> list[yaml.Node]:
        if root is None:
            return []
        fields = self._fields(root, ("repositories",))
        node = fields.get("repositories")
        if node is None:
            raise self._wrong(root, "it has no list `repositories`")
        return self._list(node, "repositories")

    def entries(self, node: yaml.Node) -> Iterator[RepositoryEntry]:
        """Yield the repositories of one entry: several where its path is a glob."""
        fields = self._fields(node, FIELDS)
        if "path" not in fields:
            raise self._wrong(node, "the entry has no path")
        name = self._text(fields["name"], "name") if "name" in fields else None
        lists = {
            key: tuple(self._text(each, key) for each in self._list(fields[key], key))
            for key in FIELDS[2:]
            if key in fields
        }
        for key in ("include", "exclude"):
            for pattern in lists.get(key, ()):
                if problem := check_glob(pattern):
                    raise self._wrong(fields[key], f"{key} {pattern!r}: {problem}")
        folders = self._folders(fields["path"])
        if name is not None and len(folders) > 1:
            raise self._wrong(
                node, f"the path matches {len(folders)} folders, which cannot share the name {name}"
            )
        entry = RepositoryEntry("", Path(), **lists, file=self._path, line=node.start_mark.line + 1)
        for folder in folders:
            yield replace(entry, name=name or folder.resolve().name, path=folder)

    def check_apart(self, entries: Sequence[RepositoryEntry]) -> None:
        """Refuse two entries with one name or one folder."""
        names: dict[str, int] = {}
        folders: dict[Path, int] = {}
        for entry in entries:
            place = entry.path.resolve()
            if entry.name in names:
                first = names[entry.name]
                raise self._at(entry.line, f"the name {entry.name} is taken, at line {first}")
            if place in folders:
                raise self._at(entry.line, f"{entry.path} is listed at line {folders[place]} too")
            names[entry.name] = folders[place] = entry.line

    def check_dependencies(
        self, entries: Sequence[RepositoryEntry], known: Collection[str]
    ) -> None:
        """Refuse a dependency on itself, and on what is neither in the file nor known."""
        names = {*known, *(entry.name for entry in entries)}
        for entry in entries:
            for other in entry.depends_on:
                if other == entry.name:
                    raise self._at(entry.line, f"{entry.name} depends on itself")
                if other not in names:
                    near = _nearest(other, names)
                    raise self._at(
                        entry.line, f"{entry.name} depends on {other}, which is not listed{near}"
                    )

    def _folders(self, node: yaml.Node) -> list[Path]:
        written = self._text(node, "path")
        text = f"{self._home}{written[1:]}" if written.partition("/")[0] == "~" else written
        top = self._path.resolve().parent
        if glob.has_magic(text):
            matches = sorted(glob.glob(text, root_dir=top, recursive=True))  # noqa: PTH207 - absolute ones too
            folders = [top / match for match in matches if (top / match).is_dir()]
        else:
            folders = [top / text] if (top / text).is_dir() else []
        if not folders:
            raise NotFound(
                f"{self._path}, line {node.start_mark.line + 1}: {written} matches no folder.",
                hint="Correct the path, or take the entry out.",
                code="repos.no_folder",
            )
        return folders

    def _fields(self, node: yaml.Node, known: Collection[str]) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            raise self._wrong(node, f"here must be {', '.join(known)} with their values")
        fields: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else "this key"
            if name not in known:
                raise self._wrong(key, f"{name} is not known{_nearest(name, known)}")
            if name in fields:
                raise self._wrong(key, f"{name} is there twice")
            fields[name] = value
        return fields

    def _list(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            raise self._wrong(node, f"{what} must be a list")
        return list(node.value)

    def _text(self, node: yaml.Node, what: str) -> str:
        is_text = isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str"
        text: str = node.value if is_text else ""
        is_line = text.strip() and text.splitlines() == [text] and "\0" not in text
        if not is_line or len(text) > (4096 if what == "path" else MAX_NAME_LENGTH):
            raise self._wrong(
                node, f"{what} must be a line of text, in quotes where it looks like a number"
            )
        return text

    def _wrong(self, node: yaml.Node, problem: str) -> UsageError:
        return self._at(node.start_mark.line + 1, problem)

    def _at(self, line: int, problem: str) -> UsageError:
        return _invalid(self._path, line, problem)


def _invalid(path: Path, line: int, problem: str) -> UsageError:
    return UsageError(
        f"{path}, line {line}: {problem}.",
        hint=f"An entry of `repositories` has path, and may have name, {', '.join(FIELDS[2:])}.",
        code="repos.invalid",
    )


def _nearest(word: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"; is {near[0]} meant?" if near else ""


def unknown(what: str, name: str, known: Collection[str]) -> NotFound:
    """Return the error for a name that nothing has, with the nearest one."""
    near = difflib.get_close_matches(name, known, n=1)
    return NotFound(
        f"There is no {what} called {name}.",
        hint=f"Is {near[0]} meant?"
        if near
        else f"There are: {', '.join(sorted(known)) or 'none'}.",
        code="repository.unknown",
    )
