"""Write what was planned, all of it or nothing: into the journal as it is intended, then file by file."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, Literal

import msgspec

from mahavishnu.ai.clients.port import Client
from mahavishnu.ai.clients.rights import Modes, close_modes
from mahavishnu.ai.foreign_files.documents import KeyPath, same_value
from mahavishnu.ai.foreign_files.documents.port import show_path
from mahavishnu.ai.foreign_files.files import told
from mahavishnu.ai.foreign_files.merge import Effect, ExpectedValues, Include, Remove, Set
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.ai.switching.journal import (
    ChangeKind,
    EntryKind,
    FileRecord,
    JournalEntry,
    Record,
    recorded,
)
from mahavishnu.ai.switching.plan import FilePlan, SwitchPlan
from mahavishnu.ai.switching.recovery import whole_or_not
from mahavishnu.ai.switching.redaction import redact
from mahavishnu.ai.switching.site import Site
from mahavishnu.base.identifiers import new_id


def carry_out(
    site: Site,
    plan: SwitchPlan,
    kind: Literal["switch", "restore"] = "switch",
    *,
    moved: Reference | None = None,
) -> JournalEntry | None:
    """
    Write a plan that was checked, all of it or nothing; the journal must be held.

    `moved` is where the key is that stood in plain text, and that undo puts there again.

    Returns the entry of it, None where nothing had to change; raises as `SettingsFile.edit`.
    """
    files = [file for file in plan.files if file.changed]
    if not files:
        return None
    raw = [each.delivery.reference for each in files if each.delivery.mode == "written"]
    lost = tuple(show_path(path) for file in files for path in file.plain_keys)
    salt = new_salt()
    records = [
        _file_record(file, file.effects, salt, file.place.open_modes(site.environ), file.place.new)
        for file in files
    ]
    entry = new_entry(
        kind, plan.profile.name, plan.scope, salt, records,
        key=str(moved or raw[0]) if moved or raw else None,
        lost=() if moved else lost,
        is_moved=moved is not None,
    )  # fmt: skip
    site.journal.intend(entry)
    return _write_all(site, entry, files)


def _write_all(site: Site, entry: JournalEntry, files: Sequence[FilePlan]) -> JournalEntry:
    """Write the files one by one; where one fails, take back what is written."""
    done = []
    with whole_or_not(site, entry, [(file.place, file.effects) for file in files]):
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
            done.append(_file_record(file, edit.effects, entry.salt, intended.modes, edit.made))
        site.journal.finish(entry, None if tuple(done) == entry.files else done)
    return msgspec.structs.replace(entry, files=tuple(done))


def _file_record(
    file: FilePlan, effects: Sequence[Effect], salt: str, modes: Modes, new: bool
) -> FileRecord:
    client = file.place.client
    return FileRecord(
        client=client.name,
        path=str(file.place.path),
        mode=file.delivery.mode,
        records=records_of(
            effects, client, salt, lambda path: client.gives_back(path, file.delivery)
        ),
        new=new,
        modes=modes,
        via="" if file.place.is_route else file.via,
    )


def records_of(
    effects: Sequence[Effect],
    client: Client,
    salt: str,
    is_free: Callable[[KeyPath], bool] = lambda _: False,
) -> tuple[Record, ...]:
    """Return effects as the journal has them: marks for keys, and of lists nothing that is the user's."""
    records = []
    for effect in effects:
        change, path, secret = effect.change, effect.change.path, client.is_secret
        if isinstance(change, Set | Remove):
            records.append(
                Record(
                    "set" if isinstance(change, Set) else "remove",
                    path,
                    recorded(redact(effect.before, path, secret, salt)),
                    recorded(redact(effect.after, path, secret, salt)),
                    effect.made,
                    free=is_free(path),
                )
            )
        elif not same_value(effect.before, effect.after):
            kind: ChangeKind = "include" if isinstance(change, Include) else "exclude"
            records.append(Record(kind, path, made=effect.made, element=change.element))
    return tuple(records)


def expect(effects: Sequence[Effect]) -> ExpectedValues:
    """Return what was there when it was planned: what came in between is not buried."""
    return {
        each.change.path: each.before
        for each in effects
        if isinstance(each.change, Set | Remove)
    }  # fmt: skip


def new_salt() -> str:
    """Return the salt by which one entry marks keys."""
    return token_hex(16)


def new_entry(
    kind: EntryKind, profile: str, scope: str, salt: str, files: Sequence[FileRecord], **more: Any
) -> JournalEntry:
    """Return an entry of now, in which the keys of `files` are marked by `salt`."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return JournalEntry(
        id=new_id(),
        at=at,
        kind=kind,
        profile=profile,
        scope=scope,
        salt=salt,
        files=tuple(files),
        **more,
    )
