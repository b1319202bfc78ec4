"""What is printed about settings that were changed since a switch, and what can be done about it; keys never."""

from collections.abc import Sequence
from typing import Any

from mahavishnu.ai_env.adopt import Adopted
from mahavishnu.ai_env.changed import Changed
from mahavishnu.ai_env.clients.table import CLIENTS
from mahavishnu.ai_env.documents.port import plain, show_path
from mahavishnu.ai_env.drift import Drift
from mahavishnu.ai_env.journal import Entry
from mahavishnu.ai_env.plan import Scope
from mahavishnu.ai_env.profiles import ClientName
from mahavishnu.ai_env.status import Authorship, ClientStatus
from mahavishnu.cli.ai.telling import UNCHANGED, said
from mahavishnu.cli.render import local_time, print_json, print_line
from mahavishnu.errors import tell
from mahavishnu.identifiers import shown

_OTHERS = "by hand or by another program"


def tell_drift(statuses: Sequence[ClientStatus]) -> None:
    """Print for each changed file what was changed, likely by whom, and what that does to the key."""
    for each in statuses:
        if each.drift:
            paths = ", ".join(dict.fromkeys(show_path(drift.path) for drift in each.drift))
            print_line(
                f"{each.path} was {_what(each)} since the switch, {_by_whom(each)}: {paths}"
                " (mahavishnu ai diff)"
            )
            if each.warning:
                print_line(f"Warning: {each.warning}")


def offer(statuses: Sequence[ClientStatus]) -> None:
    """Print the commands by which changes are accepted, or taken back."""
    for each in statuses:
        if each.drift and each.enabled:
            options = _options(each.client, each.scope)
            print_line(f"To accept what is there: mahavishnu ai adopt {options}")
            print_line(f"To write it again: mahavishnu ai restore {options}")


def _options(client: ClientName, scope: Scope) -> str:
    return f"--client {client}{' --scope project' if scope == 'project' else ''}"


def _what(status: ClientStatus) -> str:
    gone = status.changed is not None and status.changed.changed_at is None
    return "deleted" if gone else "changed"


def _by_whom(status: ClientStatus) -> str:
    changed = status.changed
    if changed is None:
        return _OTHERS
    when = "" if changed.changed_at is None else f" ({local_time(changed.changed_at)})"
    return f"{_author(status.client, changed)}{when}"


def _author(client: ClientName, changed: Authorship) -> str:
    match changed.author:
        case "client":
            return f"by {CLIENTS[client].title} itself"
        case "cc-switch":
            return f"{_OTHERS} (cc-switch is installed here)"
        case _:
            return _OTHERS


def drift_body(status: ClientStatus) -> dict[str, Any]:
    """Return, for JSON, what was changed of one client's settings, and by whom."""
    changed = status.changed
    at = None if changed is None else changed.changed_at
    return {
        "drift": [_drift_row(each) for each in status.drift],
        "author": None if changed is None else changed.author,
        "changed_at": None if at is None else at.isoformat(timespec="seconds"),
        "warning": status.warning or None,
    }


def _drift_row(drift: Drift) -> dict[str, Any]:
    return {
        "path": list(drift.path),
        "written": plain(drift.written),
        "now": plain(drift.now),
        "author": drift.author,
    }


def show_drift(statuses: Sequence[ClientStatus], *, as_json: bool) -> None:
    """Print members that are not as they were written, and what could not be looked at."""
    drifted = [each for each in statuses if each.drift]
    unread = [(each, each.problem) for each in statuses if each.problem is not None]
    if as_json:
        print_json(
            {
                "files": [
                    {
                        "client": each.client,
                        "scope": each.scope,
                        "path": each.path,
                        **drift_body(each),
                    }
                    for each in drifted
                ],
                "unread": [
                    {"client": each.client, "path": each.path, "problem": tell(problem)}
                    for each, problem in unread
                ],
            }
        )
        return
    for each in drifted:
        print_line(f"{each.path}: {_what(each)} {_by_whom(each)}")
        _print_members(each.drift)
        if each.warning:
            print_line(f"Warning: {each.warning}")
    for _, problem in unread:
        print_line(problem.message)
    offer(drifted)
    if not drifted and not unread:
        print_line(UNCHANGED)


def _print_members(drift: Sequence[Drift]) -> None:
    for each in drift:
        print_line(f"  {show_path(each.path)}")
        print_line(f"    - {said(each.written)}")
        print_line(f"    + {said(each.now)}")


def show_adopted(done: Adopted, *, as_json: bool) -> None:
    """Print what counts as written from now on."""
    if as_json:
        files = [_adopted_row(entry, each) for entry, changed in done.entries for each in changed]
        print_json({"adopted": files, "settled": list(done.settled)})
        return
    for text in done.settled:
        print_line(text)
    for entry, changed in done.entries:
        for each in changed:
            print_line(f"{each.place.path}: what is there is adopted.")
            _print_members(each.drift)
        print_line(f"To take it back: mahavishnu ai undo {shown(entry.id)}")
    if not done.entries:
        print_line(UNCHANGED)


def _adopted_row(entry: Entry, changed: Changed) -> dict[str, Any]:
    return {
        "id": str(entry.id),
        "client": changed.place.client.way.client,
        "scope": entry.scope,
        "path": str(changed.place.path),
        "profile": entry.profile,
        "members": [
            {"path": list(each.path), "before": plain(each.written), "after": plain(each.now)}
            for each in changed.drift
        ],
    }
