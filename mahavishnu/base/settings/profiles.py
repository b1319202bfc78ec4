"""
Profiles in the settings: which setting is a member of one; a wrong one is set aside.

Whether the others can be used is not decided here: `ai.profiles` does that.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mahavishnu.base.errors import UsageError
from mahavishnu.base.masking import MASK
from mahavishnu.base.settings.files import find_names, place_of
from mahavishnu.base.settings.keys import find_setting, match_key
from mahavishnu.base.settings.legacy import find_legacy

SECTION = "ai_environments.llm_profiles"
_KEY_SHAPE = re.compile(r"sk-|(?=.*\d).{20}", re.DOTALL)


@dataclass(frozen=True)
class WrongProfile:
    """A profile with an unknown member or a wrong value: the source that has it, and what was found first."""

    origin: str
    problem: UsageError


@contextmanager
def setting_aside(wrong: dict[str, WrongProfile], key: str, origin: str) -> Iterator[None]:
    """Add the profile that a key belongs to where the block refuses that key; other errors pass."""
    try:
        yield
    except UsageError as error:
        name = _named_by(key, origin)
        if name is None:
            raise
        problem = error
        if "." in name:
            problem = UsageError(
                f"The name {name!r} in {place_of(origin, key)} has a dot, which no name of a profile has.",
                hint="For example: work-glm",
                code="settings.unknown_key",
            )
        wrong.setdefault(name, WrongProfile(origin, problem))


def profile_of(key: str) -> str | None:
    """Return the name of the profile that a setting is a member of; None where it is of none."""
    return match_key(f"{SECTION}.*.*", key)


def shown_key(key: str) -> str:
    """
    Return a wrong key of the settings as it may be printed.

    What is below a setting is a value with a slip, as in `key: {sk-...}`; hidden is also a name that looks like a key,
    unless it is that of a profile.
    """
    names = key.split(".")
    for place in range(1, len(names)):
        setting = ".".join(names[:place])
        if find_setting(setting) or find_legacy(setting):
            return f"{setting}.{MASK}"
    free = 3 if key.startswith(f"{SECTION}.") else 0
    hidden = (MASK if _KEY_SHAPE.match(name) else name for name in names[free:])
    return ".".join((*names[:free], *hidden))


def _named_by(key: str, origin: str) -> str | None:
    """Return the profile that a key, right or wrong, belongs to; the file tells a name with dots from a member."""
    if not key.startswith(f"{SECTION}."):
        return None
    bare = key.removeprefix(f"{SECTION}.").partition(".")[0]
    names, _ = find_names(origin, key) or ((), 0)
    for place in range(1, len(names)):
        if ".".join(names[:place]) == SECTION:
            is_member = find_setting(key) or find_legacy(key)
            is_last = place == len(names) - 1
            # Beside `work: {...}`, `work.x: 5` is another name, unless x is a member of profiles.
            if is_last and (is_member or find_names(origin, f"{SECTION}.{bare}") is None):
                break
            return names[place]
    return bare
