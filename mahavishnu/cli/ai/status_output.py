"""What `ai list-llms` and `ai status` print; keys never."""

from collections.abc import Mapping, Sequence
from typing import Any

from mahavishnu.ai_env.clients.table import CLIENTS
from mahavishnu.ai_env.directories.store import Binding
from mahavishnu.ai_env.journal import History
from mahavishnu.ai_env.lacks import Lack
from mahavishnu.ai_env.profiles import Profile
from mahavishnu.ai_env.site import Site
from mahavishnu.ai_env.status import ClientStatus, key_state
from mahavishnu.cli.ai.drift_output import drift_body, offer, tell_drift
from mahavishnu.cli.render import print_json, print_line, print_table
from mahavishnu.environments.profiles import Own
from mahavishnu.errors import MahavishnuError, tell
from mahavishnu.identifiers import shown

_USES = {"sign-in": "its own sign-in", "other": "something else", "nothing": "nothing"}


def show_profiles(
    site: Site,
    profiles: Mapping[str, Profile],
    statuses: Sequence[ClientStatus],
    lacks: Sequence[Lack],
    own: Own,
    *,
    as_json: bool,
) -> None:
    """Print the profiles, those of the user's that cannot be used, other uses, and what shared ones lack here."""
    rows = [_profile_row(site, each, statuses) for each in profiles.values()]
    if as_json:
        clients = [_status_row(each) for each in statuses]
        missing = lack_rows(lacks)
        print_json(
            {"profiles": rows, "unusable": own.unusable, "clients": clients, "missing": missing}
        )
        return
    print_table(
        ("name", "key", "model", "used by"),
        (
            (
                row["name"],
                f"{row['key'] or ''} {row['key_state']}".strip(),
                row["model"] or "",
                ", ".join(row["used_by"]),
            )
            for row in rows
        ),
    )
    for reason in own.reasons:
        print_line(reason)
    for each in statuses:
        if each.installed and each.use != "profile":
            print_line(f"{CLIENTS[each.client].title} uses {_use(each)}.")
    tell_lacks(lacks)
    tell_drift(statuses)


def tell_lacks(lacks: Sequence[Lack]) -> None:
    """Print what is missing here, a line each."""
    for each in lacks:
        about = f"{each.profile}: " if each.profile else ""
        print_line(f"Missing here: {about}{each.message} {each.hint}".rstrip())


def lack_rows(lacks: Sequence[Lack]) -> list[dict[str, Any]]:
    """Return what is missing as plain values."""
    return [
        {
            "profile": each.profile or None,
            "what": each.what,
            "code": each.code,
            "message": each.message,
            "hint": each.hint or None,
        }
        for each in lacks
    ]


def _profile_row(site: Site, profile: Profile, statuses: Sequence[ClientStatus]) -> dict[str, Any]:
    return {
        "name": profile.name,
        "title": profile.title,
        "origin": profile.origin,
        "auth": profile.auth,
        "protocols": list(profile.endpoints),
        "model": profile.model,
        "key": None if profile.auth == "native" or profile.key is None else str(profile.key),
        "key_state": key_state(site, profile),
        "used_by": list(
            dict.fromkeys(each.client for each in statuses if each.profile == profile.name)
        ),
    }


def show_status(
    statuses: Sequence[ClientStatus],
    history: History,
    bound: Binding | MahavishnuError | None,
    *,
    as_json: bool,
) -> None:
    """Print what each client uses, and what the directory is bound to, or why that is unknown."""
    if as_json:
        row: dict[str, Any] | None = None
        if isinstance(bound, MahavishnuError):
            row = {"profile": None, "folder": None, "problem": tell(bound)}
        elif bound is not None:
            row = {"profile": bound.profile, "folder": bound.folder.path, "problem": None}
        print_json(
            {
                "bound": row,
                "clients": [_status_row(each) for each in statuses],
                "interrupted": [str(entry.id) for entry in history.open],
            }
        )
        return
    print_table(
        ("client", "uses", "address", "model", "key", "sessions"),
        (
            (
                f"{CLIENTS[each.client].title}{' (project)' if each.scope == 'project' else ''}",
                _use(each),
                each.url,
                each.model,
                each.key,
                str(each.sessions or ""),
            )
            for each in statuses
        ),
    )
    if isinstance(bound, MahavishnuError):
        print_line(bound.message)
    elif bound is not None:
        print_line(f"{bound.folder.path} is bound to {bound.profile}: sessions there use that one.")
    for each in statuses:
        if each.problem is not None:
            print_line(each.problem.message)
    for entry in history.open:
        print_line(
            f"The {entry.title} ({shown(entry.id)}) was interrupted; the next switch or undo settles it."
        )
    tell_drift(statuses)
    offer(statuses)


def _use(status: ClientStatus) -> str:
    if status.problem is not None:
        return "settings that cannot be read"
    if not status.installed:
        return "not installed"
    if not status.enabled:
        return "switched off in the settings"
    return status.profile or _USES[status.use]


def _status_row(status: ClientStatus) -> dict[str, Any]:
    return {
        "client": status.client,
        "scope": status.scope,
        "path": status.path,
        "installed": status.installed,
        "enabled": status.enabled,
        "use": status.use,
        "profile": status.profile,
        "url": status.url,
        "model": status.model,
        "key": status.key,
        "sessions": status.sessions,
        **drift_body(status),
        "problem": None if status.problem is None else tell(status.problem),
    }
