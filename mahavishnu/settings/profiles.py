"""Profiles that several sources speak of: an address does not meet a key that was meant for another one."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from mahavishnu.settings.keys import match_key
from mahavishnu.settings.tree import PROFILE_ADDRESSES

_PROFILE = "ai_environments.llm_profiles.*.*"


class Ranked(Protocol):
    """A value with the rank of its source."""

    @property
    def rank(self) -> int:
        """Return the rank; a higher one wins."""
        ...


def outranked_keys(merged: Mapping[str, Ranked]) -> Iterable[str]:
    """
    Return the keys of profiles that do not count, since a source of a higher rank gives an address.

    What gives none only changes what it names, as everywhere in the settings.
    """
    names: dict[str, list[str]] = {}
    for key in merged:
        if match_key(_PROFILE, key):
            names.setdefault(key.rpartition(".")[0], []).append(key)
    for keys in names.values():
        addresses = [key for key in keys if key.rpartition(".")[2] in PROFILE_ADDRESSES]
        rank = max((merged[key].rank for key in addresses), default=0)
        yield from (key for key in keys if merged[key].rank < rank)
