"""Checks of our own files: where they are, whose, and who else can read them; and their mending."""

import os
import stat
from pathlib import Path
from shlex import quote

from mahavishnu.base.daemon.record import find_listening
from mahavishnu.base.daemon.token import read_token, rotate_token
from mahavishnu.base.errors import Corrupt, Forbidden, NotFound
from mahavishnu.base.logs import set_log_level
from mahavishnu.base.paths import locate
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.base.settings.trust import is_trusted
from mahavishnu.operations.ai.profiles import read_own
from mahavishnu.services.doctor.findings import Check, Examination, Finding, failure

FOLDER_MODE, FILE_MODE = 0o700, 0o600
_OTHERS, _OTHERS_WRITE = 0o077, 0o022
_OF_ANOTHER = "Run as that user, or set MAHAVISHNU_HOME to a place of your own."


def look_at_home(examination: Examination) -> Finding:
    """Find out where things live."""
    found = examination.locations = locate(examination.environ)
    return Finding("home", "ok", f"Settings in {found.config}, data in {found.data}.")


def look_at_trusted(examination: Examination) -> Finding:
    """Check the list of trusted folders; needs `home`."""
    found = judge_file("trusted_file", examination.places.trusted_directories)
    if found.usable:
        is_trusted(Path("/"), examination.places)  # raises where the list is damaged
    return found


def close_trusted(examination: Examination) -> str:
    """Take others' rights from the list of trusted folders."""
    return close(examination.places.trusted_directories, FILE_MODE)


def look_at_settings(examination: Examination) -> Finding:
    """Read the settings."""
    loaded = load_settings(environ=examination.environ, flags=examination.flags)
    examination.loaded = loaded
    set_log_level(loaded.settings.log_level)
    notices = (*loaded.notices, *read_own(loaded).told)
    if notices:
        return Finding(
            "settings", "warning", " ".join(notices),
            "See where each value comes from: mahavishnu config show --origin",
        )  # fmt: skip
    return Finding("settings", "ok", f"They can be read; set are {len(loaded.origins)}.")


def folder_check(name: str, place: str) -> Check:
    """Return the check of one of our folders; `place` is the attribute of `Locations`."""

    def look(examination: Examination) -> Finding:
        return judge_folder(name, getattr(examination.places, place))

    def mend(examination: Examination) -> str:
        return close(getattr(examination.places, place), FOLDER_MODE)

    return Check(name, look, needs=("home",), mend=mend)


def look_at_settings_file(examination: Examination) -> Finding:
    """Check who can read and change the user's settings; needs `home`."""
    return judge_file("settings_file", examination.places.user_settings)


def close_settings_file(examination: Examination) -> str:
    """Take others' rights from the user's settings."""
    return close(examination.places.user_settings, FILE_MODE)


def judge_folder(name: str, path: Path) -> Finding:
    """Tell whether a folder is ours alone."""
    if not _is_there(path):
        return Finding(name, "info", f"{path} is not there yet; it is made when it is needed.")
    if not path.is_dir():
        return Finding(
            name, "error", f"{path} is not a folder, nor a link to one.",
            "Remove it, or choose another place, for example by MAHAVISHNU_HOME.",
        )  # fmt: skip
    about = path.stat()
    if about.st_uid != os.geteuid():
        return Finding(name, "error", f"{path} belongs to another user.", _OF_ANOTHER)
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return Finding(
            name, "error", f"{path} cannot be used ({stat.filemode(about.st_mode)}).",
            f"chmod 700 {quote(str(path))}",
        )  # fmt: skip
    return _judge_mode(name, path, about.st_mode, FOLDER_MODE)


def judge_file(name: str, path: Path) -> Finding:
    """Tell whether a file is ours alone, or absent."""
    if not _is_there(path):
        return Finding(name, "ok", f"There is no {path}.")
    if not path.exists():
        return Finding(name, "warning", f"{path} is a link to nothing.", f"rm {quote(str(path))}")
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):
        return Finding(name, "error", f"{path} is not a regular file.", "Put a text file there.")
    if about.st_uid != os.geteuid():
        return Finding(name, "error", f"{path} belongs to another user.", _OF_ANOTHER)
    if not os.access(path, os.R_OK):
        return Finding(
            name, "error", f"{path} cannot be read ({stat.filemode(about.st_mode)}).",
            f"chmod 600 {quote(str(path))}",
        )  # fmt: skip
    return _judge_mode(name, path, about.st_mode, FILE_MODE)


def _is_there(path: Path) -> bool:
    """Tell whether the name is there; what this user may not even look at is an error, not absent."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def _judge_mode(name: str, path: Path, mode: int, wanted: int) -> Finding:
    """Tell whether others have rights; of a link to a place of our own, --fix leaves that alone."""
    if not mode & _OTHERS:
        return Finding(name, "ok", f"Only its owner can use {path}.")
    writable = mode & _OTHERS_WRITE
    return Finding(
        name,
        "error" if writable else "warning",
        f"Others may {'change' if writable else 'read'} {path} ({stat.filemode(mode)}).",
        f"chmod {wanted:o} {quote(str(path))}",
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
            return Finding("token", "info", error.message, error.hint)
        return Finding(
            "token", "error", f"The daemon runs, but its token is gone: {path}",
            "mahavishnu token rotate", fixable=True, code=error.code,
        )  # fmt: skip
    except (Forbidden, Corrupt) as error:
        return failure("token", error, fixable=is_own_file(path))
    return Finding("token", "ok", "The daemon's token is whole, and for its owner alone.")


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
