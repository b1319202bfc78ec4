"""What the commands of `switch.py` print; keys never."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mahavishnu.ai_env.apply import Switched
from mahavishnu.ai_env.clients.table import CLIENTS
from mahavishnu.ai_env.directories.store import Binding
from mahavishnu.ai_env.documents.port import show_path
from mahavishnu.ai_env.journal import Entry, History
from mahavishnu.ai_env.lacks import Lack
from mahavishnu.ai_env.member_changes import member_changes
from mahavishnu.ai_env.plan import FilePlan, Plan
from mahavishnu.ai_env.profiles import Profile
from mahavishnu.ai_env.restore import Restored
from mahavishnu.ai_env.site import Site
from mahavishnu.ai_env.status import ClientStatus, key_state, plain
from mahavishnu.ai_env.undo import Undone
from mahavishnu.cli.ai.drift_output import (
    UNCHANGED,
    drift_body,
    offer,
    said,
    tell_drift,
    tell_given_up,
)
from mahavishnu.cli.render import local_time, print_json, print_line, print_table
from mahavishnu.errors import MahavishnuError, tell
from mahavishnu.identifiers import shown

_USES = {"sign-in": "its own sign-in", "other": "something else", "nothing": "nothing"}
_MODES = {
    "native": "its own sign-in",
    "helper": "key by command",
    "environment": "key by variable",
    "written": "key written",
    "keyless": "no key",
}


def show_profiles(
    site: Site,
    profiles: Mapping[str, Profile],
    statuses: Sequence[ClientStatus],
    lacks: Sequence[Lack],
    *,
    as_json: bool,
) -> None:
    """Print the profiles, the clients that use something else, and what shared ones lack here."""
    rows = [_profile_row(site, each, statuses) for each in profiles.values()]
    if as_json:
        clients = [_status_row(each) for each in statuses]
        print_json({"profiles": rows, "clients": clients, "missing": lack_rows(lacks)})
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
    """Print what each client uses, and what the directory is bound to, or why that cannot be told."""
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


def show_history(history: History, limit: int, *, as_json: bool) -> None:
    """Print switches, the latest first."""
    undone = history.undone
    rows = [
        {**entry_row(each), "undone": each.id in undone, "interrupted": each in history.open}
        for each in reversed((*history.done, *history.open))
    ][:limit]
    if as_json:
        print_json({"switches": rows})
        return
    if not rows:
        print_line("There was no switch yet.")
        return
    print_table(
        ("id", "when", "what", "profile", "scope", "clients", ""),
        (
            (
                shown(each.id),
                local_time(datetime.fromisoformat(each.at)),
                each.kind,
                each.profile,
                each.scope,
                ", ".join(file.client for file in each.files),
                "interrupted" if row["interrupted"] else "taken back" if row["undone"] else "",
            )
            for each, row in zip(reversed((*history.done, *history.open)), rows, strict=False)
        ),
    )


def entry_row(entry: Entry) -> dict[str, Any]:
    """Return an entry of the journal for JSON."""
    return {
        "id": str(entry.id),
        "at": entry.at,
        "kind": entry.kind,
        "profile": entry.profile,
        "scope": entry.scope,
        "clients": [file.client for file in entry.files],
        "undoes": None if entry.undoes is None else str(entry.undoes),
        "lost": list(entry.lost),
    }


def show_plan(plan: Plan, *, as_json: bool) -> None:
    """Print what a switch would do."""
    if as_json:
        rest: dict[str, Any] = {"settled": [], "sessions": []}
        print_json({"id": None, "dry_run": True, **plan_body(plan), **rest})
        return
    for file in plan.files:
        print_line(f"{file.place.path} ({_MODES[file.delivery.mode]})")
        for row in _member_rows(file):
            print_line(f"  {'.'.join(row['path'])}: {said(row['before'])} -> {said(row['after'])}")
        if not file.changed:
            print_line("  nothing would change")
        for path in file.plain_keys:
            print_line(
                f"  {show_path(path)} holds a key in plain text: refused without --forget-keys"
            )
        for path in file.conflicts:
            print_line(f"  {show_path(path)} was changed by hand: refused without --overwrite")
    _tell_rest(plan)


def show_switch(
    done: Switched,
    sessions: Sequence[dict[str, Any]] = (),
    lines: Sequence[str] = (),
    *,
    as_json: bool,
) -> None:
    """Print what a switch did; `sessions` that it did not reach, or `lines` about them for people."""
    if as_json:
        identifier = None if done.entry is None else str(done.entry.id)
        rest = {"settled": list(done.settled), "sessions": list(sessions)}
        print_json({"id": identifier, "dry_run": False, **plan_body(done.plan), **rest})
        return
    for text in done.settled:
        print_line(text)
    for file in done.plan.files:
        delivery = file.delivery
        what = ", ".join(filter(None, (delivery.url, delivery.model, _MODES[delivery.mode])))
        already = "" if file.changed else " already"
        print_line(f"{file.place.client.title} uses {delivery.profile}{already}: {what}")
    _tell_rest(done.plan)
    for line in lines:
        print_line(line)
    if done.entry is not None:
        for path in done.entry.lost:
            print_line(f"The key at {path} was given up; undo cannot bring it back.")
        print_line(f"To take it back: mahavishnu ai undo {shown(done.entry.id)}")


def show_restored(done: Restored, *, dry_run: bool, as_json: bool) -> None:
    """Print what was written again, or would be."""
    if as_json:
        rows = [
            {"id": None if entry is None else str(entry.id), **plan_body(plan)}
            for plan, entry in done.plans
        ]
        print_json({"dry_run": dry_run, "restored": rows, "settled": list(done.settled)})
        return
    for text in done.settled:
        print_line(text)
    for plan, entry in done.plans:
        if dry_run:
            show_plan(plan, as_json=False)
        else:
            show_switch(Switched(plan, entry), as_json=False)
    if not done.plans:
        print_line(UNCHANGED)


def _tell_rest(plan: Plan) -> None:
    for each in plan.unchanged:
        print_line(f"{CLIENTS[each.client].title} is unchanged: {each.reason}.")
    for note in plan.notes:
        print_line(f"Note: {note}")


def plan_body(plan: Plan) -> dict[str, Any]:
    """Return a plan for JSON."""
    return {
        "profile": plan.profile.name,
        "scope": plan.scope,
        "clients": [
            {
                "client": file.name,
                "path": str(file.place.path),
                "mode": file.delivery.mode,
                "url": file.delivery.url,
                "model": file.delivery.model,
                "changed": file.changed,
                "members": _member_rows(file),
                "conflicts": [list(path) for path in file.conflicts],
                "plain_keys": [list(path) for path in file.plain_keys],
            }
            for file in plan.files
        ],
        "unchanged": [{"client": each.client, "reason": each.reason} for each in plan.unchanged],
        "notes": list(plan.notes),
    }


def _member_rows(file: FilePlan) -> list[dict[str, Any]]:
    return [
        {"path": list(each.path), "before": plain(each.before), "after": plain(each.after)}
        for each in member_changes(file)
    ]


def show_undo(done: Undone, *, as_json: bool) -> None:
    """Print what was taken back."""
    if as_json:
        print_json({**entry_row(done.entry), "settled": list(done.settled)})
        return
    for text in done.settled:
        print_line(text)
    names = ", ".join(CLIENTS[file.client].title for file in done.entry.files)
    print_line(f"The {done.switch.title} was taken back: {names}.")
    if done.switch.kind == "adopt":
        tell_given_up(done.entry)
    for path in done.entry.lost:
        print_line(f"The key at {path} could not come back: it was never kept.")
