"""What commands print of clients: what each uses, what was changed since a switch and by whom; keys never."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.interfaces.cli.ai.switch_messages import said, show_path
from mahavishnu.interfaces.cli.render import local_time, print_line
from mahavishnu.operations.ai.results import ClientBody, DriftedFile, MissingBody, TrialBody

_USES = {"sign-in": "its own sign-in", "other": "something else", "nothing": "nothing"}
_OTHERS = "by hand or by another program"


def use_of(client: ClientBody) -> str:
    """Return what a client uses."""
    if client.problem is not None:
        return "settings that cannot be read"
    if not client.installed:
        return "not installed"
    if not client.enabled:
        return "switched off in the settings"
    used = client.profile or _USES[client.use]
    if not client.route:
        return used
    others = [] if client.pinned else client.route[1:]
    return f"{used} through the gateway{f', else {", ".join(others)}' if others else ''}"


def tell_missing(lacks: Sequence[MissingBody]) -> None:
    """Print what is missing here, a line each."""
    for each in lacks:
        about = f"{each.profile}: " if each.profile else ""
        print_line(f"Missing here: {about}{each.message} {each.hint or ''}".rstrip())


def tell_drift(files: Sequence[DriftedFile]) -> None:
    """Print for each changed file what was changed, likely by whom, and what that does to the key."""
    for each in files:
        if each.drift:
            paths = ", ".join(dict.fromkeys(show_path(drift.path) for drift in each.drift))
            print_line(
                f"{each.path} was {_what(each)} since the switch, {_by_whom(each)}: {paths}"
                " (mahavishnu ai diff)"
            )
            _warn(each)


def offer(files: Iterable[DriftedFile]) -> None:
    """Print the commands by which changes are accepted, or taken back."""
    for each in files:
        if each.drift and each.enabled:
            options = (
                f"--client {each.client}{' --scope project' if each.scope == 'project' else ''}"
            )
            print_line(f"To accept what is there: mahavishnu ai adopt {options}")
            print_line(f"To write it again: mahavishnu ai restore {options}")


def print_drift(file: DriftedFile) -> None:
    """Print what was changed in a file, member by member."""
    print_line(f"{file.path}: {_what(file)} {_by_whom(file)}")
    for each in file.drift:
        print_change(each.path, each.written, each.now)
    _warn(file)


def print_change(path: Iterable[str], before: object, after: object) -> None:
    """Print a member with what was written, and what is there."""
    print_line(f"  {show_path(path)}")
    print_line(f"    - {said(before)}")
    print_line(f"    + {said(after)}")


def _warn(file: DriftedFile) -> None:
    if file.warning:
        print_line(f"Warning: {file.warning}")


def _what(file: DriftedFile) -> str:
    return "deleted" if file.author is not None and file.changed_at is None else "changed"


def _by_whom(file: DriftedFile) -> str:
    if file.author is None:
        return _OTHERS
    when = file.changed_at and f" ({local_time(datetime.fromisoformat(file.changed_at))})"
    return f"{_author(file)}{when or ''}"


def _author(file: DriftedFile) -> str:
    match file.author:
        case "client":
            return f"by {CLIENTS[file.client].title} itself"
        case "cc-switch":
            return f"{_OTHERS} (cc-switch is installed here)"
        case _:
            return _OTHERS


def print_trial(trial: TrialBody) -> None:
    """Print what came of it."""
    where = f" by {trial.protocol} at {trial.url}" if trial.protocol else ""
    model = f", model {trial.model}" if trial.model else ""
    took = f", {trial.duration_s:.2f} s" if trial.protocol else ""
    print_line(f"{trial.verdict}: {trial.profile}{where}{model}{took}")
    if trial.verdict != "ok":
        status = f" (HTTP {trial.status})" if trial.status else ""
        print_line(f"  {trial.meaning}{status} {trial.detail}".rstrip())
    elif trial.model is None:
        print_line("  The profile names no model: the list of models was asked for.")
    if trial.resets_at:
        print_line(f"  Again from {trial.resets_at.astimezone():%Y-%m-%d %H:%M:%S %Z} on.")
