"""From plain values, as a file has them, to what it says of a profile."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from mahavishnu.ai_env.profiles import Entry
from mahavishnu.errors import UsageError
from mahavishnu.settings.files import read_settings
from mahavishnu.settings.legacy import PROFILE_NAMES
from mahavishnu.settings.tree import ProfileSettings


def read_entry(path: Path) -> Entry:
    """
    Return what a file of ours says of its profile.

    Raises:
        UsageError: `ai.profile_file`, a key that there is not or a value of another kind.
        Corrupt, Forbidden: as `read_settings`.
    """
    return entry_of_values(read_settings(path), origin=str(path))


def entry_of_values(values: Mapping[str, object], *, origin: str) -> Entry:
    """Return the entry that plain values by key are; raises as `read_entry`."""
    names = [name.removeprefix("env.") for name in values]
    present = {
        PROFILE_NAMES.get(name, name): value
        for name, value in zip(names, values.values(), strict=True)
    }
    try:
        checked = msgspec.convert(present, ProfileSettings, strict=False)
    except msgspec.ValidationError as error:
        unknown = sorted(present.keys() - set(ProfileSettings.__struct_fields__))
        what = str(error).partition(" - at `$.")[2].rstrip("`").partition("[")[0]
        raise UsageError(
            f"{origin} has a key that no profile has: {unknown[0]}."
            if unknown
            else f"{origin} has a value of the wrong kind: {what}.",
            hint=f"The keys are: {', '.join(ProfileSettings.__struct_fields__)}.",
            code="ai.profile_file",
        ) from error
    return Entry(**msgspec.structs.asdict(checked))
