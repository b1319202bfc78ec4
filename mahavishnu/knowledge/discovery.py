"""
Find the files of a repository that are worth reading, and count why the others are not.

Git lists them, also in a folder that is no repository: `.gitignore` means there what it always means.
Nothing outside of the folder is read, whatever links say.
"""

import hashlib
import os
import stat
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mahavishnu.base.errors import NotFound, Unavailable, UsageError
from mahavishnu.knowledge.file_kinds import BINARY, language_of, skip_by_name, skip_by_text
from mahavishnu.knowledge.git import run_git
from mahavishnu.knowledge.globs import matches

MAX_FILE_BYTES = 1 << 20
EXCLUDED = "excluded"
LINK = "link"
OTHER_REPOSITORY = "another repository"
TOO_LARGE = "too large"
UNREADABLE = "unreadable"
NOT_UTF8_NAME = "name is not UTF-8"


@dataclass
class Discovered:
    """Paths of files worth reading, in order, and how many others there are, by reason."""

    paths: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class SourceText:
    """A file's text with its lines ended by a line feed; `raw` are its bytes."""

    path: str
    language: str
    text: str
    raw: bytes


async def discover(
    root: Path, *, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> Discovered:
    """
    Return what is below `root`; `include` and `exclude` are globs of paths within it.

    Raises:
        NotFound, UsageError, Unavailable: as `check_folder`; git is not installed, or refuses.
    """
    check_folder(root)
    wanted = ("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
    if (root / ".git").exists():
        listed = await run_git(root, *wanted)
    else:
        with tempfile.TemporaryDirectory(prefix="mahavishnu-git-") as folder:
            await run_git(Path(folder), "init", "--quiet", "--bare", "--template=", ".")
            listed = await run_git(root, f"--git-dir={folder}", f"--work-tree={root}", *wanted)
    found = Discovered()
    for path in sorted(set(listed.split("\0")) - {""}):
        if path.endswith("/"):
            reason: str | None = OTHER_REPOSITORY
        elif (include and not matches(path, include)) or matches(path, exclude):
            reason = EXCLUDED
        else:
            status = _skip_by_status(root, path)
            absent = status in (LINK, OTHER_REPOSITORY, "")  # whatever it is called
            reason = status if absent else skip_by_name(path) or status
        if reason is None:
            found.paths.append(path)
        elif reason:
            found.skipped[reason] += 1
    return found


def check_folder(root: Path) -> None:
    """Raise where `root` is no folder whose files can be listed."""
    if not root.is_dir():
        what = "a file, not a folder" if root.exists() else "not there"
        raise NotFound(
            f"{root} is {what}.",
            hint="Give the folder of a repository.",
            code="repository.not_found",
        )
    if not os.access(root, os.R_OK | os.X_OK):
        raise Unavailable(
            f"{root} cannot be read.",
            hint="Give yourself the right to list the folder.",
            code="repository.unreadable",
        )
    if all((root / name).exists() for name in ("HEAD", "objects", "refs")):
        raise UsageError(
            f"{root} is a bare repository: its files are not checked out.",
            hint="Add a checkout of it: git clone, git worktree add.",
            code="repository.bare",
        )


def read_source(root: Path, path: str, *, committed: bool = True) -> SourceText | str:
    """
    Return a file's text, or why it is not read; bytes that are no UTF-8 become U+FFFD.

    Of settings that the commit does not have under this path, those with secrets are not read.
    """
    reason = _skip_by_status(root, path)
    if reason is not None:
        return reason
    try:
        raw = (root / path).read_bytes()
    except OSError:
        return UNREADABLE
    language = language_of(path) or "text"
    is_utf16 = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    if b"\0" in raw and not is_utf16:
        return BINARY
    text = raw.decode("utf-16" if is_utf16 else "utf-8-sig", "replace")
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
    reason = skip_by_text(text, language, committed=committed)
    return reason or SourceText(path, language, text, raw)


def _skip_by_status(root: Path, path: str) -> str | None:
    """Return why a listed file cannot be read; an empty text where it is gone, and no reason counts."""
    place = root / path
    try:
        status = place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return NOT_UTF8_NAME if "\ufffd" in path else ""
    except OSError:
        return UNREADABLE
    if stat.S_ISDIR(status.st_mode):  # a submodule
        return OTHER_REPOSITORY
    if stat.S_ISLNK(status.st_mode) or place.resolve() != root.resolve() / path:
        return LINK
    if not stat.S_ISREG(status.st_mode):
        return UNREADABLE
    return TOO_LARGE if status.st_size > MAX_FILE_BYTES else None


async def read_blobs(root: Path) -> tuple[str | None, Mapping[str, str]]:
    """Return the commit that is checked out, and the ids of its files by path; None outside of git."""
    if not (root / ".git").exists():
        return None, {}
    try:
        commit = await run_git(root, "rev-parse", "--verify", "HEAD")
    except UsageError:  # no commit yet
        return None, {}
    lines = (await run_git(root, "ls-tree", "-r", "-z", commit)).split("\0")
    return commit, {
        path: head.split()[-1] for head, _, path in (x.partition("\t") for x in lines) if path
    }


def is_committed(source: SourceText, blobs: Mapping[str, str]) -> bool:
    """
    Tell whether the commit has the file as it was read, by the id that git gives its bytes.

    A checkout may end lines by CR LF where the commit has LF: `core.autocrlf`, `eol=crlf`.
    """
    blob = blobs.get(source.path, "")
    digest = hashlib.sha256 if len(blob) == 64 else hashlib.sha1
    versions = (source.raw, source.raw.replace(b"\r\n", b"\n"))
    return any(digest(b"blob %d\0" % len(v) + v).hexdigest() == blob for v in versions)


def is_hidden(path: Path) -> bool:
    """Tell whether nobody can say if a file is there, for a folder above it may not be read."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return False
