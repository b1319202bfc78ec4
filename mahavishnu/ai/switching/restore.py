"""
Write again what a switch had written and another changed since: address, key and models as one.

It is planned as a switch to the same profile, and goes the same way; undoing it brings back what the other
had written.
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from mahavishnu.ai.clients.delivery import Delivery
from mahavishnu.ai.clients.key_command import PROGRAM
from mahavishnu.ai.clients.rights import note_of
from mahavishnu.ai.clients.settings import session_running
from mahavishnu.ai.foreign_files.documents import Absent, KeyPath, Value, same_value
from mahavishnu.ai.foreign_files.documents.port import show_path
from mahavishnu.ai.foreign_files.files import told
from mahavishnu.ai.foreign_files.merge import Change, Effect, Exclude, Remove, Set, merge
from mahavishnu.ai.profiles.delivery import deliver
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.switching.apply import carry_out
from mahavishnu.ai.switching.drift import Changed, find_changed, replay
from mahavishnu.ai.switching.journal import JournalEntry
from mahavishnu.ai.switching.plan import (
    FilePlan,
    Scope,
    SettingsPlace,
    SwitchPlan,
    check_plan,
    known_for,
    plan_changes,
)
from mahavishnu.ai.switching.recovery import Settled, held_journal
from mahavishnu.ai.switching.redaction import shown, shown_record
from mahavishnu.ai.switching.reversal import Reversal
from mahavishnu.ai.switching.routing import gateway_delivery
from mahavishnu.ai.switching.site import Site
from mahavishnu.ai.switching.switch import SwitchOptions, require_key, why_not
from mahavishnu.base.errors import Conflict, NotFound

type FindProfile = Callable[[str], Profile]


@dataclass(frozen=True)
class Restoration:
    """What was done: for each profile a plan, and its entry, None where nothing had to change."""

    plans: tuple[tuple[SwitchPlan, JournalEntry | None], ...]
    settled: tuple[str, ...] = ()


def plan_restore(
    site: Site, find: FindProfile, ask: SwitchOptions, settled: Settled | None = None
) -> tuple[SwitchPlan, ...]:
    """
    Return what a restoring would do now, for each profile that had been switched to; nothing is written.

    `ask` says which clients, and what may be given up for it.

    Raises:
        NotFound: `ai.unknown_profile`, the profile is gone.
        Conflict: `ai.profile_changed`, it says something else now; `ai.key_not_kept`.
        MahavishnuError: as `find_changed` and `plan_switch`.
    """
    settled = settled or Settled(site.journal.read(), (), {})
    changed = find_changed(site, ask.clients, ask.scope, settled)
    by_profile = sorted(changed, key=_written)
    return tuple(
        (_plan_routed if via else _plan)(site, find, ask, tuple(files))
        for (_, _, via), files in groupby(by_profile, key=_written)
    )


def restore(site: Site, find: FindProfile, ask: SwitchOptions) -> Restoration:
    """
    Write again what was written, of each profile all clients or none.

    Raises as `plan_restore`, `check_plan` and `SettingsFile.edit`.
    """
    with held_journal(site) as settled:
        plans = plan_restore(site, find, ask, settled)
        for plan in plans:
            check_plan(plan, overwrite=True, forget_keys=ask.forget_keys)
        done = [(plan, carry_out(site, plan, "restore")) for plan in plans]
        return Restoration(tuple(done), settled.told)


def _written(changed: Changed) -> tuple[str, bool, str]:
    """Return the profile that was written, whether with its raw key, and whether it was the way to the gateway."""
    memory = changed.place.memory
    return memory.profile or "", memory.mode == "written", memory.via


def _plan_routed(
    site: Site, find: FindProfile, ask: SwitchOptions, files: Sequence[Changed]
) -> SwitchPlan:
    """Return what leads clients to the gateway again; where their routes lead is not touched."""
    name, _, via = _written(files[0])
    profile = _find(find, name, files[0], ask.scope)
    plans = []
    for each in files:
        delivery = gateway_delivery(site, profile, each.place.client, dry=False)
        with told(each.place.path):
            plans.append(replace(_plan_file(each, delivery, profile, ask.scope), via=via))
    return SwitchPlan(profile, ask.scope, tuple(plans))


def _plan(
    site: Site, find: FindProfile, ask: SwitchOptions, files: Sequence[Changed]
) -> SwitchPlan:
    name, raw, _ = _written(files[0])
    profile = _find(find, name, files[0], ask.scope)
    written = raw and profile.key is not None and profile.auth != "native"
    for each in files:
        reason = why_not(profile, each.place.client, ask.scope)
        if reason is None and raw and each.place.memory.key != str(profile.key):
            reason = "its key is another"
        if reason is not None:
            raise _changed(profile, each.place, ask.scope, reason)
    key, notes = require_key(site, profile, replace(ask, write_key=written))
    plans = []
    for each in files:
        delivery = deliver(profile, each.place.client, helper=site.helper, key=key)
        with told(each.place.path):
            plans.append(_plan_file(each, delivery, profile, ask.scope))
            notes += note_of(each.place.path, each.place.open_modes(site.environ))
        notes += each.place.client.notes(delivery, running=each.place.running)
    return SwitchPlan(profile, ask.scope, tuple(plans), notes=tuple(notes))


def _find(find: FindProfile, name: str, changed: Changed, scope: Scope) -> Profile:
    try:
        return find(name)
    except NotFound as error:
        if error.code != "ai.unknown_profile":
            raise
        raise NotFound(
            f"The profile {name}, which was written to {changed.place.path}, is gone.",
            hint=_ways_out(changed.place, scope),
            code=error.code,
        ) from error


def _plan_file(changed: Changed, delivery: Delivery, profile: Profile, scope: Scope) -> FilePlan:
    place, document = changed.place, changed.document
    client, memory = place.client, place.memory
    key = delivery.key.reveal() if delivery.mode == "written" else ""
    again = replay(place, document, [key] if key else [])
    if place.running and any(isinstance(change, Exclude) for change in again.changes):
        raise session_running(client.title)
    restored, _ = merge(document, again.changes, {})
    adopted = [path for path, written in memory.written.items() if written.adopted]
    wanted = [
        change
        for change in client.changes(restored, delivery, known_for(place, document, delivery))
        if change.path not in adopted
    ]
    _, effects = merge(restored, wanted, {})
    if others := [each.change.path for each in effects if not _is_same(each, place)]:
        paths = ", ".join(dict.fromkeys(map(show_path, others)))
        raise _changed(profile, place, scope, f"it would write something else to {paths}")
    _require_keys(again, wanted, place, scope)
    return replace(
        plan_changes(place, document, delivery, _put_together(again.changes, wanted)), conflicts=()
    )


def _is_same(effect: Effect, place: SettingsPlace) -> bool:
    """Tell whether a change writes what had been written, but for the raw key and the program's place."""
    path, secret = effect.change.path, place.client.is_secret
    if same_value(effect.before, effect.after):
        return True
    written = place.memory.written.get(path)
    if written is None:
        # A list is the profile's; a member another brought along, and a switch would empty it.
        return isinstance(effect.change, Set | Remove)
    before, after = shown_record(written.value), shown(effect.after, path, secret)
    return same_value(_without_folder(before), _without_folder(after))


def _without_folder(value: Value | Absent) -> Value | Absent:
    """Return a value in which `mahavishnu-key` is named without the folder that it is in."""
    if isinstance(value, dict):
        return {name: _without_folder(each) for name, each in value.items()}  # type: ignore[misc]
    if not isinstance(value, str) or PROGRAM not in value:
        return value
    if Path(value).name == PROGRAM:
        return PROGRAM
    try:
        words = shlex.split(value)
    except ValueError:
        return value
    return shlex.join(PROGRAM if Path(word).name == PROGRAM else word for word in words)


def _require_keys(
    again: Reversal, wanted: Sequence[Change], place: SettingsPlace, scope: Scope
) -> None:
    """Refuse where a key would have to come back that was never kept: one that was adopted."""
    given = {change.path for change in wanted}
    lost = [path for path in again.lost if path not in given]
    if lost:
        raise Conflict(
            f"In {place.path} there was a key of yours, which was adopted and never kept:"
            f" {', '.join(map(show_path, lost))}.",
            hint=_ways_out(place, scope),
            code="ai.key_not_kept",
        )


def _put_together(again: Sequence[Change], wanted: Sequence[Change]) -> list[Change]:
    """Return both as one list, in which no member is set twice."""
    given: Mapping[KeyPath, Change] = {
        each.path: each for each in wanted if isinstance(each, Set | Remove)
    }
    return [*(each for each in again if each.path not in given), *wanted]


def _changed(profile: Profile, place: SettingsPlace, scope: Scope, why: str) -> Conflict:
    return Conflict(
        f"The profile {profile.name} is no longer what was written to {place.path}: {why}.",
        hint=_ways_out(place, scope),
        code="ai.profile_changed",
    )


def _ways_out(place: SettingsPlace, scope: Scope) -> str:
    options = f"--client {place.client.name}" + (" --scope project" * (scope == "project"))
    return (
        f"To accept the values that are there: mahavishnu ai adopt {options}. Or choose a profile:"
        f" mahavishnu ai switch-llm NAME {options} --overwrite"
    )
