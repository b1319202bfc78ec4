"""
Switch clients to a profile: all is planned before the first file is written, and a failure takes it back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from mahavishnu.ai.clients.rights import Modes, close_modes, note_of
from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.foreign_files.documents.port import show_path
from mahavishnu.ai.foreign_files.files import told
from mahavishnu.ai.foreign_files.merge import Effect
from mahavishnu.ai.profiles.delivery import deliver
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.ai.secrets.resolve import find_doubt, resolve
from mahavishnu.ai.switching.journal import Entry, FileRecord, History, Journal
from mahavishnu.ai.switching.moving import find_move, move_key
from mahavishnu.ai.switching.plan import (
    FilePlan,
    Plan,
    Scope,
    Unchanged,
    check_plan,
    expect,
    mark,
    new_entry,
    plan_file,
    records_of,
    why_not,
)
from mahavishnu.ai.switching.proxied import proxy_note
from mahavishnu.ai.switching.settle import settle, whole_or_not
from mahavishnu.ai.switching.site import Site, require_client
from mahavishnu.base.errors import UsageError
from mahavishnu.base.masking import Secret


@dataclass(frozen=True, kw_only=True)
class Ask:
    """
    What is wanted of a switch.

    `clients` names those to switch; none: all that the user has and that the profile fits. `write_key`
    puts the raw key into their settings. Of keys of others in them, `move_key` says where they
    go, and `forget_keys` gives them up. `overwrite` gives up what was changed by hand, and a missing key
    is no error with `allow_missing_key`.
    """

    clients: Sequence[ClientName] = ()
    scope: Scope = "user"
    write_key: bool = False
    overwrite: bool = False
    forget_keys: bool = False
    allow_missing_key: bool = False
    move_key: str | None = None


@dataclass(frozen=True)
class Switched:
    """What was done: `entry` is None where all clients were on the profile already."""

    plan: Plan
    entry: Entry | None
    settled: tuple[str, ...] = ()


def plan_switch(site: Site, profile: Profile, ask: Ask) -> Plan:
    """
    Return what a switch would do now; files are read, and nothing is written.

    Raises:
        MahavishnuError: whatever would stop the switch before its first write, but for conflicts and
            keys in plain text that are not to be moved, which the plan tells.
    """
    plan = _plan(site, profile, ask, site.journal.read())
    if ask.move_key is not None:
        find_move(site, plan, ask.move_key)
    return plan


def _plan(site: Site, profile: Profile, ask: Ask, history: History) -> Plan:
    """Return what a switch would do, but for the key that it moves; raises as `plan_switch`."""
    if ask.write_key and ask.move_key is not None:
        raise UsageError(
            "A switch moves a key out of the settings, or writes one into them.",
            hint="Leave out --write-key, or --move-key.",
            code="ai.key_both_ways",
        )
    if ask.write_key and ask.scope == "project":
        raise UsageError(
            "A raw key does not go into a project's folder, from where it is soon in a repository.",
            hint="Leave out --write-key, or --scope project.",
            code="ai.key_in_project",
        )
    names, unchanged = _choose(site, profile, ask)
    key, notes = require_key(site, profile, ask)
    files = []
    for name in names:
        client = CLIENTS[name]
        delivery = deliver(profile, client, helper=site.helper, key=key)
        place = site.place(name, ask.scope, history)
        with told(place.path):
            files.append(plan_file(place, site.open(client, place.path).read(), delivery))
        notes += client.notes(delivery, running=place.running)
        if files[-1].changed:
            modes = place.open_modes(site.environ)
            moves = ask.move_key is not None and bool(files[-1].plain_keys)
            notes += note_of(place.path, modes, private=moves)
        asks = delivery.mode == "helper"
        notes += proxy_note(site, name, delivery.url, asks=asks, scope=ask.scope)
        if delivery.mode == "written":
            notes.append(f"The key is in {place.path}, which you alone can read (mode 0600).")
    return Plan(profile, ask.scope, tuple(files), unchanged, tuple(notes))


def switch(site: Site, profile: Profile, ask: Ask) -> Switched:
    """
    Switch, all clients or none.

    Raises:
        MahavishnuError: as `plan_switch`, `check_plan` and `SettingsFile.edit`; what was written by
            then was taken back.
    """
    journal = site.journal
    with journal.held():
        settled = settle(site, journal)
        plan = _plan(site, profile, ask, settled.history)
        settled.require([str(file.place.path) for file in plan.files])
        keeps = ask.forget_keys or ask.move_key is not None
        check_plan(plan, overwrite=ask.overwrite, forget_keys=keeps)
        moved = None if ask.move_key is None else move_key(site, plan, ask.move_key)
        if moved is not None:
            plan = replace(plan, notes=(*plan.notes, _moved_note(moved)))
        return Switched(plan, carry_out(site, journal, plan, moved=moved), settled.told)


def _moved_note(moved: Reference) -> str:
    return (
        f"The key that stood in plain text is at {moved} and nowhere else in these settings; undo brings it back"
        " from there."
    )


def carry_out(
    site: Site,
    journal: Journal,
    plan: Plan,
    kind: Literal["switch", "restore"] = "switch",
    *,
    moved: Reference | None = None,
) -> Entry | None:
    """
    Write a plan that was checked, all of it or nothing; the journal must be held.

    `moved` is where the key is that stood in plain text, and that undo puts there again.

    Returns the entry of it, None where nothing had to change; raises as `SettingsFile.edit`.
    """
    files = [file for file in plan.files if file.changed]
    if not files:
        return None
    raw = any(file.delivery.mode == "written" for file in files)
    lost = tuple(show_path(path) for file in files for path in file.plain_keys)
    entry = new_entry(
        kind, plan.profile.name, plan.scope,
        lambda salt: [
            _file_record(
                file, file.effects, salt,
                new=file.place.new, modes=file.place.open_modes(site.environ),
            )
            for file in files
        ],
        key=str(moved or plan.profile.key) if moved or raw else None,
        lost=() if moved else lost,
        is_moved=moved is not None,
    )  # fmt: skip
    journal.intend(entry)
    return _write_all(site, journal, entry, files)


def _choose(
    site: Site, profile: Profile, ask: Ask
) -> tuple[list[ClientName], tuple[Unchanged, ...]]:
    """Return the clients to switch, and the others with the reason."""
    if ask.clients:
        for name in ask.clients:
            require_client(site, name)
            reason = why_not(profile, CLIENTS[name], ask.scope)
            if reason is not None:
                raise UsageError(
                    f"{profile.name} cannot be given to {CLIENTS[name].title}: {reason}.",
                    hint="See which profiles there are: mahavishnu ai list-llms",
                    code="ai.unsuitable_profile",
                )
        left = [name for name in CLIENTS if name not in ask.clients]
        return list(dict.fromkeys(ask.clients)), tuple(
            Unchanged(name, "it was not asked for") for name in left
        )
    chosen, unchanged = [], []
    for name, client in CLIENTS.items():
        if not site.settings_of(name).enabled:
            unchanged.append(Unchanged(name, "it is switched off in the settings"))
        elif not site.has(name):
            unchanged.append(Unchanged(name, f"{client.title} is not installed"))
        elif (reason := why_not(profile, client, ask.scope)) is not None:
            unchanged.append(Unchanged(name, reason))
        else:
            chosen.append(name)
    if not chosen:
        told_why = "; ".join(f"{each.client}: {each.reason}" for each in unchanged)
        raise UsageError(
            f"No client can be switched to {profile.name}. {told_why}.",
            hint="See which profiles and clients there are: mahavishnu ai list-llms",
            code="ai.no_client",
        )
    return chosen, tuple(unchanged)


def require_key(site: Site, profile: Profile, ask: Ask) -> tuple[Secret | None, list[str]]:
    """
    Return the key where it is to be written, and notes; refuse where it is known to be missing.

    Nobody is asked for a passphrase: of a file that does not open without one, a note says so.
    """
    if profile.auth == "native" or profile.key is None:
        return None, []
    if ask.write_key:
        key = resolve(profile.key, environ=site.environ, identity=site.identity, stores=site.stores)
        return key, []
    if ask.allow_missing_key:
        return None, []
    doubt = find_doubt(
        profile.key, environ=site.environ, identity=site.identity, stores=site.stores
    )
    if doubt is None:
        return None, []
    return None, [
        f"Whether there is a key at {profile.key} is not known: {doubt.message}"
        f" To see: mahavishnu ai verify {profile.name}"
    ]


def _write_all(site: Site, journal: Journal, entry: Entry, files: Sequence[FilePlan]) -> Entry:
    """Write the files one by one; where one fails, take back what is written."""
    done = []
    with whole_or_not(site, journal, entry, [(file.place, file.effects) for file in files]):
        for file, intended in zip(files, entry.files, strict=True):
            place = file.place
            edit = site.open(place.client, place.path).edit(
                file.changes,
                expected=expect(file.effects),
                make_folder=place.make_folder,
                private=file.delivery.mode == "written",
            )
            with told(place.path):
                close_modes(place.path, intended.modes)
            record = _file_record(
                file, edit.effects, entry.salt, new=edit.made, modes=intended.modes
            )
            done.append(record)
        journal.finish(entry, None if tuple(done) == entry.files else done)
    return msgspec.structs.replace(entry, files=tuple(done))


def _file_record(
    file: FilePlan, effects: Sequence[Effect], salt: str, *, new: bool, modes: Modes
) -> FileRecord:
    client = file.place.client
    records = records_of(effects, lambda path: client.gives_back(path, file.delivery))
    return FileRecord(
        client=client.name,
        path=str(file.place.path),
        mode=file.delivery.mode,
        records=tuple(mark(record, client.is_secret, salt) for record in records),
        new=new,
        modes=modes,
    )
