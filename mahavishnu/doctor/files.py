"""Checks of our own files: where they are, whose, and who else can read them; and their mending."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from shlex import quote

from mahavishnu.base.daemon.record import find_listening
from mahavishnu.base.daemon.token import read_token, rotate_token
from mahavishnu.base.errors import Corrupt, Forbidden, NotFound
from mahavishnu.base.logs import set_log_level
from mahavishnu.base.paths import Locations, locate
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.base.settings.trust import is_trusted
from mahavishnu.doctor.findings import Check, Examination, Finding, failure
from mahavishnu.memory.spool.file import SpoolFile
from mahavishnu.operations.ai.profiles import read_own

FOLDER_MODE, FILE_MODE = 0o700, 0o600
_OTHERS, _OTHERS_WRITE = 0o077, 0o022
_OF_ANOTHER = "Run as that user, or set MAHAVISHNU_HOME to a place of your own."


def look_at_home(examination: Examination) -> Finding:
    """Find out where things live."""
    found = examination.locations = locate(examination.environ)
    return Finding("ok", f"Settings in {found.config}, data in {found.data}.")


def look_at_trusted(examination: Examination) -> Finding:
    """Check the list of trusted folders; needs `home`."""
    found = judge_file(examination.places.trusted_directories)
    if found.usable:
        is_trusted(Path("/"), examination.places)  # raises where the list is damaged
    return found


def look_at_settings(examination: Examination) -> Finding:
    loaded = load_settings(environ=examination.environ, flags=examination.flags)
    examination.loaded = loaded
    set_log_level(loaded.settings.log_level)
    notices = (*loaded.notices, *read_own(loaded).told)
    if notices:
        return Finding(
            "warning",
            " ".join(notices),
            "See where each value comes from: mahavishnu config show --origin",
        )
    return Finding("ok", f"They can be read; set are {len(loaded.origins)}.")


def judge_folder(path: Path) -> Finding:
    """Tell whether a folder is ours alone."""
    if not _is_there(path):
        return Finding("info", f"{path} is not there yet; it is made when it is needed.")
    if not path.is_dir():
        return Finding(
            "error",
            f"{path} is not a folder, nor a link to one.",
            "Remove it, or choose another place, for example by MAHAVISHNU_HOME.",
        )
    return _judge_rights(path, FOLDER_MODE, "used", os.R_OK | os.W_OK | os.X_OK)


def judge_file(path: Path) -> Finding:
    """Tell whether a file is ours alone, or absent."""
    if not _is_there(path):
        return Finding("ok", f"There is no {path}.")
    if not path.exists():
        return Finding("warning", f"{path} is a link to nothing.", f"rm {quote(str(path))}")
    if not path.is_file():
        return Finding("error", f"{path} is not a regular file.", "Put a text file there.")
    return _judge_rights(path, FILE_MODE, "read", os.R_OK)


def privacy_check(
    name: str,
    place: Callable[[Locations], Path],
    judge: Callable[[Path], Finding] = judge_folder,
    mode: int = FOLDER_MODE,
) -> Check:
    """Return the check that one of our folders, or files, is ours alone; --fix gives it `mode`."""
    return Check(
        name,
        lambda examination: judge(place(examination.places)),
        needs=("home",),
        mend=lambda examination: close(place(examination.places), mode),
    )


def _is_there(path: Path) -> bool:
    """Tell whether the name is there; what this user may not even look at is an error, not absent."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def _judge_rights(path: Path, wanted: int, how: str, access: int) -> Finding:
    """Tell whether it is ours, and nobody else's; of a link to a place of our own, --fix leaves that alone."""
    about = path.stat()
    mode, hint = stat.filemode(about.st_mode), f"chmod {wanted:o} {quote(str(path))}"
    if about.st_uid != os.geteuid():
        return Finding("error", f"{path} belongs to another user.", _OF_ANOTHER)
    if not os.access(path, access):
        return Finding("error", f"{path} cannot be {how} ({mode}).", hint)
    if not about.st_mode & _OTHERS:
        return Finding("ok", f"Only its owner can use {path}.")
    writable = about.st_mode & _OTHERS_WRITE
    return Finding(
        "error" if writable else "warning",
        f"Others may {'change' if writable else 'read'} {path} ({mode}).",
        hint,
        fixable=not path.is_symlink(),
    )


def close(path: Path, mode: int) -> str:
    """
    Give one of our own files or folders the mode; says so.

    Raises:
        Forbidden: `doctor.not_ours`, it is a link or another user's.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise not_ours(path) from error
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            raise not_ours(path)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)
    return f"{path} is for its owner alone now ({mode:04o})."


def not_ours(path: Path) -> Forbidden:
    """Return the error for what --fix does not touch."""
    return Forbidden(
        f"{path} is a link or belongs to another user, and was left alone.",
        hint="Fix it by hand.",
        code="doctor.not_ours",
    )


def look_at_token(examination: Examination) -> Finding:
    """Check that the daemon's token is whole and secret; needs `home`."""
    path = examination.places.token
    try:
        read_token(path)
    except NotFound as error:
        lock = examination.places.daemon_lock
        if not is_own_file(lock) or find_listening(lock) is None:
            return Finding("info", error.message, error.hint)
        return Finding(
            "error",
            f"The daemon runs, but its token is gone: {path}",
            "mahavishnu token rotate",
            fixable=True,
            code=error.code,
        )
    except (Forbidden, Corrupt) as error:
        return failure(error, fixable=is_own_file(path))
    return Finding("ok", "The daemon's token is whole, and for its owner alone.")


def look_at_spool(examination: Examination) -> Finding:
    """Check whether writes wait for a database; needs `home`."""
    file = SpoolFile(examination.places.data)
    waiting, damaged = file.count(), file.list_damaged()
    count, refused = (sum(getattr(each, name) for each in waiting) for name in ("count", "refused"))
    told = [f"{count:,} writes wait for a database"] * bool(count)
    told += [f"{refused:,} were refused"] * bool(refused)
    told += [f"{each} was damaged, and put aside" for each in damaged]
    if told:
        return Finding("warning", f"{'; '.join(told)}.", "mahavishnu spool status")
    return Finding("ok", "No write waits for a database.")


def replace_token(examination: Examination) -> str:
    """Replace a token that is exposed, damaged or gone."""
    path = examination.places.token
    if _is_there(path) and not is_own_file(path):
        raise not_ours(path)
    rotate_token(path)
    return "The daemon's token was replaced; clients need the new one: mahavishnu token show"


def is_own_file(path: Path) -> bool:
    """Tell whether `path` itself, not what it links to, is a file of this user's."""
    try:
        about = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(about.st_mode) and about.st_uid == os.geteuid()
