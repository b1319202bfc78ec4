"""Take over the providers, and the keys, that other programs keep: plan, ask, move, write, clean."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from mahavishnu.ai.clients.claude_code.client import CLIENT as CLAUDE_CODE
from mahavishnu.ai.clients.rights import closing
from mahavishnu.ai.foreign_files.documents.json_document import JsonDocument
from mahavishnu.ai.foreign_files.files import SettingsFile
from mahavishnu.ai.profiles.importing.claude_code import (
    expected_keys,
    read_claude_code,
    replace_keys,
)
from mahavishnu.ai.profiles.importing.found import FoundProvider, PassedOver, free_name
from mahavishnu.ai.profiles.importing.keys import destination, keep_keys
from mahavishnu.ai.profiles.presets import SHIPPED
from mahavishnu.ai.profiles.profile import ProfileEntry, check_name
from mahavishnu.ai.profiles.profile_files import folder_of, write_file
from mahavishnu.ai.secrets.in_keyring import KeyringStore
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.base.errors import MahavishnuError, UsageError
from mahavishnu.base.masking import Secret
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.operations.ai.clients import key_program, lock_folder, place_of, require_trusted
from mahavishnu.operations.ai.profile_changes import check_import, profile_of, turn
from mahavishnu.operations.ai.profile_entries import entry_of_values, read_export
from mahavishnu.operations.ai.results import Whole

SOURCES = (CLAUDE_CODE.name, "cc-switch")
SERVICE = "keyring:mahavishnu"
type Consent = Callable[[Mapping[str, Reference]], bool]
STAYS = "The key is still there in plain text: take it out once the other place has it."


@dataclass(frozen=True)
class Wishes:
    """
    What the user said about an import: where to look, what to call it, and where keys go.

    `ask` asks whether keys may be moved to their places; None where nobody can be asked.
    """

    path: Path | None = None
    only: tuple[str, ...] = ()
    name: str | None = None
    key: str | None = None
    destination: str | None = None
    yes: bool = False
    replace: bool = False
    ask: Consent | None = None


class ImportedProfiles(Whole, frozen=True, kw_only=True):
    """What an import did: names of profiles, where they lead, where keys are now, and what to know."""

    imported: tuple[str, ...]
    unchanged: tuple[str, ...] = ()
    addresses: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    keys: dict[str, str] = msgspec.field(default_factory=dict)
    passed_over: tuple[PassedOver, ...] = ()
    notes: tuple[str, ...] = ()


def import_profiles(
    loaded: Loaded, file: Path | None, source: str | None, wishes: Wishes
) -> ImportedProfiles:
    """Write the profiles of an export, or those that another program has."""
    require_trusted(loaded)
    if (file is None) == (source is None):
        raise UsageError(
            "Name either a file, or a program with --from.",
            hint=f"Programs: {', '.join(SOURCES)}.",
            code="ai.import_source",
        )
    with turn(loaded):
        if source is not None:
            return take_over(loaded, source, wishes)
        assert file is not None
        wanted = {
            name: entry_of_values(name, said, origin=f"{file}")
            for name, said in read_export(file).items()
        }
        if wishes.only:
            wanted = {name: wanted[name] for name in wanted if name in wishes.only}
        new = check_import(loaded, wanted, replace=wishes.replace)
        for name in new:
            write_file(folder_of(loaded.locations), name, wanted[name])
    return ImportedProfiles(
        imported=new,
        unchanged=tuple(name for name in wanted if name not in new),
        addresses=addresses_of(loaded, wanted, new),
    )


def take_over(loaded: Loaded, source: str, wishes: Wishes) -> ImportedProfiles:
    """
    Write the profiles that another program has, and move their keys where the user agrees.

    Nothing is written before all is known to be possible; a key leaves Claude Code's settings last,
    when the keyring has given it back and the profile is there.

    Raises:
        MahavishnuError: `ai.import_*`, and as `read_profile`, `SettingsFile` and the keyring.
    """
    file = claude_settings(loaded, wishes.path) if source == CLAUDE_CODE.name else None
    offers = _from_claude_code(file) if file else _from_cc_switch(loaded, wishes.path)
    plain = any(isinstance(each, FoundProvider) and each.secret for each in offers)
    chosen, passed = _choose(loaded, offers, wishes)
    moves = _plan_moves(chosen, wishes)
    chosen = [
        replace(each, entry=replace(each.entry, key=str(moves[each.name])))
        if each.name in moves
        else each
        for each in chosen
    ]
    new = check_import(loaded, {each.name: each.entry for each in chosen}, replace=wishes.replace)
    _move_keys(chosen, moves, wishes)
    for each in chosen:
        if each.name in new:
            write_file(folder_of(loaded.locations), each.name, each.entry)
    closed = _clean(file, chosen[0], *moves.values()) if file and moves else ()
    return ImportedProfiles(
        imported=new,
        unchanged=tuple(each.name for each in chosen if each.name not in new),
        addresses=addresses_of(loaded, {each.name: each.entry for each in chosen}, new),
        keys={name: str(reference) for name, reference in moves.items()},
        passed_over=tuple(passed),
        notes=(*_notes(file, chosen, moves), *closed, *([STAYS] if plain and wishes.key else [])),
    )


def addresses_of(
    loaded: Loaded, entries: Mapping[str, ProfileEntry], names: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Return where the profiles of these names lead, which is where their keys will be sent."""
    profiles = {name: profile_of(loaded, name, entries[name]) for name in names}
    return {name: tuple(dict.fromkeys(each.endpoints.values())) for name, each in profiles.items()}


def claude_settings(loaded: Loaded, path: Path | None) -> SettingsFile:
    """Return Claude Code's own settings: what is named, else what the settings or the environment say."""
    place = path or place_of(loaded, CLAUDE_CODE.name).settings
    close = None if path else closing(CLAUDE_CODE, loaded.environ)
    return SettingsFile(place.absolute(), JsonDocument, lock_folder(loaded), close=close)


def _from_claude_code(file: SettingsFile) -> list[FoundProvider | PassedOver]:
    return [read_claude_code(file.read())]


def _from_cc_switch(loaded: Loaded, path: Path | None) -> list[FoundProvider | PassedOver]:
    from mahavishnu.ai.profiles.importing import cc_switch  # noqa: PLC0415 - loads SQLite

    rows = cc_switch.read_rows(
        path or cc_switch.database_of(Path(loaded.environ.get("HOME") or "/"))
    )
    return list(cc_switch.read_cc_switch(rows))


def _choose(
    loaded: Loaded, offers: Sequence[FoundProvider | PassedOver], wishes: Wishes
) -> tuple[list[FoundProvider], list[PassedOver]]:
    """Return what is taken over, under names of its own, and what is not; one alone is wanted or fails."""
    passed = [each for each in offers if isinstance(each, PassedOver)]
    named: list[FoundProvider] = []
    for each in offers:
        if isinstance(each, FoundProvider):
            taken = SHIPPED.keys() | {other.name for other in named}
            named.append(replace(each, name=free_name(each.name, taken)))
    chosen = [each for each in named if not wishes.only or each.name in wishes.only]
    if wishes.name or wishes.key:
        chosen = [_as_wished(chosen, wishes)]
    usable = []
    for each in chosen:
        try:
            profile_of(loaded, each.name, _with_any_key(each))
        except MahavishnuError as error:
            if len(offers) == 1 or wishes.only:
                raise
            passed.append(PassedOver(each.label, error.message))
        else:
            usable.append(each)
    if not usable:
        raise UsageError(
            "There is nothing to import.",
            hint="; ".join(f"{each.label}: {each.reason}" for each in passed[:5]) or None,
            code="ai.import_none",
        )
    return usable, passed


def _as_wished(chosen: Sequence[FoundProvider], wishes: Wishes) -> FoundProvider:
    if len(chosen) != 1:
        raise UsageError(
            f"--name and --key are for one profile, and {len(chosen)} are meant.",
            hint="Choose one with --only NAME.",
            code="ai.import_several",
        )
    [one] = chosen
    name = check_name(wishes.name or one.name)
    if wishes.key is None:
        return replace(one, name=name)
    return replace(one, name=name, secret=None, entry=replace(one.entry, key=wishes.key))


def _with_any_key(found: FoundProvider) -> ProfileEntry:
    """Return the entry as it can be checked before it is known where its key goes."""
    return replace(found.entry, key=f"{SERVICE}/{found.name}") if found.secret else found.entry


def _plan_moves(chosen: Sequence[FoundProvider], wishes: Wishes) -> dict[str, Reference]:
    """Return where the keys in plain text go, by profile; refuses where that was not said."""
    names = [each.name for each in chosen if each.secret]
    if not names:
        return {}
    if wishes.destination is None and wishes.ask is None:
        raise UsageError(
            f"Keys are there in plain text, of: {', '.join(names)}. They are not copied into files.",
            hint="Let them be moved: --to keyring:SERVICE --yes. Or store a key yourself, and say where: "
            "--only NAME --key REFERENCE.",
            code="ai.import_plain_key",
        )
    where = wishes.destination or SERVICE
    moves = {name: destination(where, name) for name in names}
    if len(set(moves.values())) < len(moves):
        raise UsageError(
            "Several keys cannot go to one place.",
            hint="Name the service alone: --to keyring:SERVICE",
            code="ai.import_destination",
        )
    _require_consent(moves, wishes.ask, agreed=wishes.yes)
    return moves


def _require_consent(moves: Mapping[str, Reference], ask: Consent | None, *, agreed: bool) -> None:
    if agreed:
        return
    if ask is not None and ask(moves):
        return
    raise UsageError(
        "Without your consent no key is moved. Nothing was changed.",
        hint="Agree with --yes.",
        code="ai.import_consent",
    )


def _move_keys(
    chosen: Sequence[FoundProvider], moves: Mapping[str, Reference], wishes: Wishes
) -> None:
    if not moves:
        return
    wanted: dict[Reference, Secret] = {
        moves[each.name]: each.secret for each in chosen if each.secret
    }
    keep_keys(KeyringStore(), wanted, replace=wishes.replace)


def _clean(file: SettingsFile, found: FoundProvider, reference: Reference) -> tuple[str, ...]:
    """
    Let Claude Code ask for the key that it had; what changed meanwhile is not overwritten.

    Returns what to say of the rights of others.
    """
    url = str(found.entry.anthropic_base_url)
    try:
        document = file.read()
        changes = replace_keys(document, reference, url=url, program=key_program())
        return file.edit(changes, expected=expected_keys(document, found.secret)).notes
    except MahavishnuError as error:
        raise type(error)(
            f"{error.message} The profile {found.name} is written, and its key is at {reference}; it is "
            f"in {file.path} as well.",
            hint=error.hint,
            code=error.code,
        ) from error


def _notes(
    file: SettingsFile | None, chosen: Sequence[FoundProvider], moves: Mapping[str, Reference]
) -> Iterator[str]:
    for name in (name for each in chosen for name in each.left):
        yield f"{name} was not taken over: a profile has no place for it, and a switch clears it."
    if moves and file:
        yield f"The key is no longer in {file.path}; Claude Code asks mahavishnu-key for it."
        yield "Copies may be in backups and histories. If that matters, ask the provider for a new key."
    elif moves:
        yield "The keys are still in cc-switch's database, too, in plain text."
