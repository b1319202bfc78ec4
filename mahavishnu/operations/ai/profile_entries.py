"""What files say of profiles: ours, one a profile; and those of `mahavishnu ai profile export`, of either form."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from mahavishnu.ai.profiles.profile import ProfileEntry
from mahavishnu.base.errors import NotFound, UsageError
from mahavishnu.base.settings.files import place_of, read_settings
from mahavishnu.base.settings.legacy import PROFILE_NAMES
from mahavishnu.base.settings.profiles import SECTION, shown_key
from mahavishnu.base.settings.tree import ProfileSettings

SECTIONS = ("ai_environments.llm_profiles.", "profiles.")


def read_export(file: Path) -> dict[str, dict[str, object]]:
    """
    Return what an export says of each profile, by name, unchecked.

    Raises:
        NotFound: `ai.import_no_file`, `ai.import_nothing`; else as `read_settings`.
    """
    if not file.exists():
        raise NotFound(
            f"There is no file {file}.",
            hint="Name an export, or a program with --from.",
            code="ai.import_no_file",
        )
    values = exported_values(read_settings(file))
    if not values:
        raise NotFound(
            f"{file} holds no profiles.",
            hint="Write one with: mahavishnu ai profile export",
            code="ai.import_nothing",
        )
    return values


def exported_values(settings: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """Return the profiles among the values of a file; other settings are passed over."""
    values: dict[str, dict[str, object]] = {}
    for key, value in settings.items():
        section = next((each for each in SECTIONS if key.startswith(each)), None)
        if section:
            name, _, item = key.removeprefix(section).partition(".")
            values.setdefault(name, {})[item] = value
    return values


def read_entry(path: Path) -> ProfileEntry:
    """
    Return what a file of ours says of its profile.

    Raises:
        UsageError: `ai.profile_file`, a key that there is not or a value of another kind.
        Corrupt, Forbidden: as `read_settings`.
    """
    return entry_of_values(path.stem, read_settings(path), origin=str(path))


def place_in(origin: str, name: str, member: str = "") -> str:
    """Return a file of profiles with the line of one of them, or of a member of it."""
    keys = [f"{section}{name}.{member}".rstrip(".") for section in SECTIONS]
    return place_of(origin, *keys, *filter(None, [member]))


def entry_of_values(name: str, values: Mapping[str, object], *, origin: str) -> ProfileEntry:
    """Return the entry that plain values by key are of the profile of a name; raises as `read_entry`."""
    given = {PROFILE_NAMES.get(bare := key.removeprefix("env."), bare): key for key in values}
    present = {member: values[key] for member, key in given.items()}
    try:
        checked = msgspec.convert(present, ProfileSettings, strict=False)
    except msgspec.ValidationError as error:
        unknown = sorted(present.keys() - set(ProfileSettings.__struct_fields__))
        what = str(error).partition(" - at `$.")[2].rstrip("`").partition("[")[0]
        member = unknown[0] if unknown else what
        place = place_in(origin, name, given.get(member, member))
        shown = shown_key(f"{SECTION}.*.{member}").removeprefix(f"{SECTION}.*.")
        raise UsageError(
            f"{place} has a key that no profile has: {shown or name}."
            if unknown
            else f"{place} has a value of the wrong kind: {member}.",
            hint=f"The keys are: {', '.join(ProfileSettings.__struct_fields__)}.",
            code="ai.profile_file",
        ) from error
    return ProfileEntry(**msgspec.structs.asdict(checked))
