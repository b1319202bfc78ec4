"""The files of supervisord: its settings, which say where it listens, and what it reads of a unit."""

import configparser
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from mahavishnu.base.errors import UsageError
from mahavishnu.services.units.unit import Unit

# Where supervisord itself looks, Debian's place and Homebrew's included.
PLACES = (
    "/etc/supervisord.conf",
    "/etc/supervisor/supervisord.conf",
    "/opt/homebrew/etc/supervisord.conf",
    "/usr/local/etc/supervisord.conf",
)
_COMMENT = re.compile(r"\s[;#]")
_RESTART = {"always": "true", "on-failure": "unexpected", "never": "false"}


@dataclass(frozen=True)
class SupervisordPlaces:
    """Where a supervisord listens, the folder of further programs, and how files are called in it."""

    source: Path
    socket: Path
    folder: Path
    suffix: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def file_of(self, name: str) -> Path:
        """Return the file of a program."""
        return self.folder / f"{name}{self.suffix}"


def find_settings(path: Path | None) -> SupervisordPlaces:
    """
    Read a supervisord's settings, those of the first usual place that has some where `path` is None.

    Raises:
        UsageError: `service.supervisord_config`, there are none, or they name no socket or no folder.
    """
    places = [Path(place) for place in PLACES] if path is None else [path]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise _wrong(f"There is no {places[0] if path else 'supervisord.conf at a usual place'}.")
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    try:
        parser.read_string(found.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise _wrong(f"{found} cannot be read: {error}") from error
    socket = parser.get("unix_http_server", "file", fallback="")
    pattern = next(iter(parser.get("include", "files", fallback="").split()), "")
    if not socket or not pattern:
        raise _wrong(f"{found} names no {'file of [include]' if socket else 'unix_http_server'}.")
    here = found.parent.absolute()
    files = _expanded(pattern, here)
    if "*" in str(files.parent) or not files.name.startswith("*"):
        raise _wrong(f"{found} includes {pattern}, which is no folder with a suffix.")
    return SupervisordPlaces(
        source=found.absolute(),
        socket=_expanded(socket, here),
        folder=files.parent,
        suffix=files.name[1:],
        username=parser.get("unix_http_server", "username", fallback=None),
        password=parser.get("unix_http_server", "password", fallback=None),
    )


def render_program(unit: Unit, *, log: Path, whole_group: bool = True) -> str:
    """
    Return the text of a program's file; with `whole_group` what the program started ends with it.

    Raises:
        UsageError: `service.backend_cannot`, the file has no way to say what the unit wants.
    """
    if what := _find_unsayable(unit):
        raise UsageError(
            f"supervisord cannot run {unit.name}, which has {what}.",
            hint="Leave that one to the daemon.",
            code="service.backend_cannot",
        )
    lines = {
        "command": " ".join(map(_quoted, unit.command)),
        "environment": ",".join(_assigned(each) for each in unit.environment),
        "directory": _plain(unit.working_directory or ""),
        "autostart": str(unit.enabled).lower(),
        "autorestart": _RESTART[unit.restart],
        "stopwaitsecs": str(max(1, round(unit.grace_s))),
        "stopasgroup": str(whole_group).lower(),
        "killasgroup": str(whole_group).lower(),
        "umask": "077",
        "redirect_stderr": "true",
        "stdout_logfile": _plain(str(log)),
        "stdout_logfile_maxbytes": "5MB",
        "stdout_logfile_backups": "3",
    }
    given = "".join(f"{key}={value}\n" for key, value in lines.items() if value)
    return f"[program:{unit.name}]\n{given}"


def _expanded(text: str, here: Path) -> Path:
    path = text.replace("%(here)s", str(here))
    if "%(" in path:
        raise _wrong(f"{text} depends on supervisord's own environment.")
    return here / path


def _plain(word: str) -> str:
    return word.replace("%", "%%")


def _quoted(word: str) -> str:
    """Quote as a shell, and so that no mark of a comment follows a space."""
    quoted = shlex.quote(word)
    for mark in ";#":
        quoted = quoted.replace(f" {mark}", f" ''{mark}")
    return _plain(quoted)


def _assigned(assignment: str) -> str:
    name, _, value = assignment.partition("=")
    quote = "'" if '"' in value else '"'
    return f"{name}={quote}{_plain(value)}{quote}"


def _find_unsayable(unit: Unit) -> str | None:
    """Return what a program's file cannot say: its values have no escapes, and a mark after a space cuts them."""
    values = [each.partition("=")[2] for each in unit.environment]
    if unit.stop_command:
        return "a stop_command"
    if any("\n" in text for text in (*unit.command, *values, unit.working_directory or "")):
        return "a line break in its definition"
    if any(_COMMENT.search(text) for text in (*values, unit.working_directory or "")):
        return "a comment mark after a space in its environment or folder"
    if any({"'", '"'} <= {*value} or value.strip("'\"") != value for value in values):
        return "quotes of both kinds, or at an end, in its environment"
    return None


def _wrong(problem: str) -> UsageError:
    return UsageError(
        problem,
        hint="Name the settings of a supervisord with [unix_http_server] and [include].",
        code="service.supervisord_config",
    )
