"""What was found of one provider in another program's settings, and how it is named here."""

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from mahavishnu.ai.profiles.profile import ProfileEntry
from mahavishnu.base.errors import UsageError
from mahavishnu.base.masking import Secret

# What cc-switch puts in the place of a key while its proxy stands between.
PLACEHOLDER = "PROXY_MANAGED"


@dataclass(frozen=True)
class FoundProvider:
    """
    A provider of another program: what a profile would say, and its key in plain text.

    `secret` is None where there is none, or where the entry's `key` says already where it is. `label`
    is what the other program calls it; `left` names variables that a profile has no place for.
    """

    name: str
    label: str
    entry: ProfileEntry
    secret: Secret | None = None
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class PassedOver:
    """A provider that is not taken over, and why."""

    label: str
    reason: str


def name_of(text: str) -> str:
    """Return a profile's name for a title, letters without their marks; empty where nothing is left of it."""
    letters = unicodedata.normalize("NFKD", text)
    plain = "".join(each for each in letters if not unicodedata.combining(each))
    slug = re.sub(r"[^a-z0-9]+", "-", plain.casefold()).strip("-")
    return slug[:48].strip("-")


def name_of_host(url: str) -> str:
    """Return a profile's name for an address."""
    host = urlsplit(url).hostname or ""
    return name_of(host.removeprefix("api.").removeprefix("www.")) or "imported"


def free_name(wanted: str, taken: Collection[str]) -> str:
    """Return the name, or the first of NAME-2, NAME-3 and so on, that is not taken."""
    numbered = (wanted if number == 1 else f"{wanted}-{number}" for number in range(1, 10_000))
    return next(name for name in numbered if name not in taken)


def text_of(values: Mapping[str, object], *names: str) -> str | None:
    """Return the first of these variables that says something; numbers are texts, as for the clients."""
    for name in names:
        value = values.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            continue
        if text := str(value).strip():
            return text
    return None


def timeout_of(values: Mapping[str, object]) -> int | None:
    """Return API_TIMEOUT_MS; None where it is no sensible number."""
    text = text_of(values, "API_TIMEOUT_MS") or ""
    return (
        int(text) if text.isascii() and text.isdecimal() and 0 < int(text) <= 86_400_000 else None
    )


def require_real(secret: str) -> Secret:
    """Return a key; refuses what stands for one only."""
    if secret == PLACEHOLDER:
        raise UsageError(
            "The settings hold the placeholder of cc-switch's proxy instead of a key.",
            hint="Turn that proxy off, or import from cc-switch: --from cc-switch",
            code="ai.import_proxy",
        )
    return Secret(secret)
