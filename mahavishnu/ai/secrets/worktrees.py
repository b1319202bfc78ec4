"""
Which other checkouts a linked worktree of git belongs to, since a client reads settings there as well.

Found by the files alone, and by the words of their paths, as Claude Code does; `git` is not run. Tests
against the real client show it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

MAX_BYTES = 64 * 1024


class Unresolved(Exception):
    """A `.git` file that says something else than it should, or leads where nothing can be read."""


def find_checkouts(folder: Path) -> Iterator[Path]:
    """
    Yield where the main checkout of the worktree at `folder` can be; nothing for another folder.

    A submodule has a `.git` file too, and no such checkout. What a bare repository is in is yielded
    as well: it may be named as if it were a checkout's.

    Raises:
        Unresolved: it is unknown.
    """
    _, shared = _find_folders(folder)
    if shared is not None:
        yield shared.parent
        yield shared


def find_repository(folder: Path) -> Path | None:
    """
    Return git's own folder of the checkout at `folder`, which all its worktrees share; None elsewhere.

    That of a worktree need not be there: after a move of the main checkout it names the old place.

    Raises:
        Unresolved: it is unknown.
    """
    git = folder / ".git"
    own, shared = _find_folders(folder)
    return shared or own or (git if git.is_dir() else None)


def _find_folders(folder: Path) -> tuple[Path | None, Path | None]:
    """Return git's folder that the file `.git` names, and the one that it shares with other worktrees."""
    link = _text(folder / ".git")
    if link is None:
        return None, None
    mark, _, private = link.partition(":")
    if mark != "gitdir":
        raise Unresolved
    own = _follow(folder, private)
    common = _text(own / "commondir")
    return own, None if common is None else _follow(own, common)


def _follow(folder: Path, said: str) -> Path:
    """Return what a path means there. What else is white space differs between languages: refused."""
    path = said.strip(" \t\r\n")
    if not path.isprintable():
        raise Unresolved
    return Path(os.path.normpath(folder / path))


def _text(path: Path) -> str | None:
    """Return the text of a file; None where there is none, or a folder."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as exc:
        raise Unresolved from exc
    if len(content) > MAX_BYTES:
        raise Unresolved
    return os.fsdecode(content)
