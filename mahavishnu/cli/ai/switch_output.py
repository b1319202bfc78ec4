"""What the commands of `switch.py` print; keys never."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mahavishnu.ai_env.apply import Ask, Switched
from mahavishnu.ai_env.clients.table import CLIENTS
from mahavishnu.ai_env.documents.port import plain, show_path
from mahavishnu.ai_env.journal import Entry, History
from mahavishnu.ai_env.member_changes import member_changes
from mahavishnu.ai_env.plan import FilePlan, Plan
from mahavishnu.ai_env.undo import Undone
from mahavishnu.cli.ai.telling import said, tell_given_up
from mahavishnu.cli.render import local_time, print_json, print_line, print_table
from mahavishnu.identifiers import shown

if TYPE_CHECKING:
    from mahavishnu.ai_env.verify import Trial  # it loads what speaks HTTP

_MODES = {
    "native": "its own sign-in",
    "helper": "key by command",
    "environment": "key by variable",
    "written": "key written",
    "keyless": "no key",
}
_NOTHING_MORE = Ask()


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


def show_plan(plan: Plan, ask: Ask = _NOTHING_MORE, *, as_json: bool) -> None:
    """Print what a switch would do; of what it would refuse, `ask` says what was asked of it."""
    if as_json:
        rest: dict[str, Any] = {"settled": [], "sessions": [], "trials": None}
        print_json({"id": None, "dry_run": True, **plan_body(plan), **rest})
        return
    for file in plan.files:
        print_line(f"{file.place.path} ({_MODES[file.delivery.mode]})")
        for row in _member_rows(file):
            print_line(f"  {'.'.join(row['path'])}: {said(row['before'])} -> {said(row['after'])}")
        if not file.changed:
            print_line("  nothing would change")
        for path in file.plain_keys:
            alone = file.place.client.is_secret(path)
            print_line(
                f"  {show_path(path)} holds a key in plain text: {_key_answer(ask, alone=alone)}"
            )
        answer = "given up by --overwrite" if ask.overwrite else "refused without --overwrite"
        for path in file.conflicts:
            print_line(f"  {show_path(path)} was changed by hand: {answer}")
    _tell_rest(plan)


def _key_answer(ask: Ask, *, alone: bool) -> str:
    """Return what becomes of a key in plain text; one that does not stand `alone` cannot be moved."""
    if ask.move_key is not None and alone:
        return f"taken out by --move-key {ask.move_key}"
    if ask.forget_keys and ask.move_key is None:
        return "given up by --forget-keys"
    return f"refused without {'--move-key or ' if alone else ''}--forget-keys"


def show_switch(
    done: Switched,
    sessions: Sequence[dict[str, Any]] = (),
    lines: Sequence[str] = (),
    trials: "Sequence[Trial] | None" = None,
    *,
    as_json: bool,
) -> None:
    """
    Print what a switch did; `sessions` that it did not reach, or `lines` about them for people.

    `trials` are what came of asking the provider, None where it was not asked.
    """
    if as_json:
        identifier = None if done.entry is None else str(done.entry.id)
        rest = {
            "settled": list(done.settled),
            "sessions": list(sessions),
            "trials": None if trials is None else _trial_rows(trials),
        }
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
    if trials is None and done.plan.profile.auth != "native":
        name = done.plan.profile.name
        print_line(f"To see whether its provider answers: mahavishnu ai verify {name}")


def _trial_rows(trials: "Sequence[Trial]") -> list[dict[str, object]]:
    from mahavishnu.cli.ai.verify import as_values  # noqa: PLC0415 - only where it was asked

    return [as_values(each) for each in trials]


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
        print_json({**_undo_row(done), "settled": list(done.settled)})
        return
    for text in done.settled:
        print_line(text)
    names = ", ".join(CLIENTS[name].title for name in done.clients)
    print_line(f"The {done.switch.title} was taken back: {names}.")
    if done.switch.kind == "adopt" and done.entry is not None:
        tell_given_up(done.entry)
    for path in done.lost:
        print_line(f"The key at {path} could not come back: it was never kept.")


def _undo_row(done: Undone) -> dict[str, Any]:
    if done.entry is not None:
        return entry_row(done.entry)
    switch = str(done.switch.id)  # it was interrupted, and what ended it has no entry of its own
    return {**entry_row(done.switch), "id": None, "kind": "undo", "undoes": switch}
