"""
Which binding counts for a folder: the innermost, whatever way leads there.

A link counts as what it leads to. A directory is known by its path, so that a new clone in the old place
stays bound, and by device and inode, so that a renamed one does; a worktree of git by its repository.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from mahavishnu.ai.bindings.store import Binding, FolderIdentity
from mahavishnu.ai.secrets.worktrees import Unresolved as Unresolved
from mahavishnu.ai.secrets.worktrees import find_repository


def find_binding(folder: str | Path, rows: Sequence[Binding]) -> Binding | None:
    """
    Return the binding of a folder, which need not be there; None where it has none.

    Raises:
        Unresolved: a `.git` on the way up cannot be understood, and repositories are bound.
    """
    if not rows:
        return None
    real = Path(os.path.realpath(folder))
    repositories = [each for each in rows if each.repository is not None]
    for each in (real, *real.parents):
        here = next(bound_at(each, rows), None)
        deeper = _of_repository(each, real, repositories) if repositories else None
        if deeper is not None and here is None:
            return _within(deeper, each, rows) or deeper
        if deeper is not None and deeper.inside:
            return deeper
        if here is not None:
            return here
    return None


def identify(folder: Path) -> FolderIdentity:
    """Return what a folder is known by; raises OSError where it is not there."""
    found = folder.stat()
    return FolderIdentity(str(folder), found.st_dev, found.st_ino)


def is_same(folder: Path, known: FolderIdentity) -> bool:
    """Tell whether this is that very folder."""
    try:
        found = folder.stat()
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (known.device, known.inode)


def bound_at(folder: Path, rows: Sequence[Binding]) -> Iterator[Binding]:
    """Yield the bindings of this very folder, wherever it was then: by its path first."""
    yield from (each for each in rows if each.folder.path == str(folder))
    yield from (each for each in rows if is_same(folder, each.folder))


def _within(whole: Binding, folder: Path, rows: Sequence[Binding]) -> Binding | None:
    """Return the binding of a part of a bound checkout that holds `folder`: a submodule, or a worktree in it."""
    found = (each for above in folder.parents for each in bound_at(above, rows))
    inner = next(found, None)
    if inner is None or inner.folder.path == whole.folder.path:
        return None
    return inner if Path(inner.folder.path).is_relative_to(whole.folder.path) else None


def _of_repository(root: Path, real: Path, rows: Sequence[Binding]) -> Binding | None:
    """Return the innermost binding of another checkout of the repository that `root` is one of."""
    shared = find_repository(root)
    if shared is None:
        return None
    way = real.relative_to(root)
    found = [
        each
        for each in rows
        if each.repository is not None
        and _is_repository(shared, each.repository)
        and way.is_relative_to(each.inside)
    ]
    # Of two checkouts that are bound to different profiles, the main one speaks for a third.
    return max(
        found, key=lambda each: (len(Path(each.inside).parts), _is_in_main(each)), default=None
    )


def _is_in_main(row: Binding) -> bool:
    """Tell whether it is of the main checkout of its repository, not of a linked worktree."""
    assert row.repository is not None
    return Path(row.repository.path).parent / row.inside == Path(row.folder.path)


def _is_repository(shared: Path, known: FolderIdentity) -> bool:
    """Tell whether it is the same; one that was moved is still named by its worktrees as it was."""
    return shared.is_relative_to(known.path) or is_same(shared, known)
