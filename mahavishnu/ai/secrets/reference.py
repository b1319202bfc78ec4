"""
Where a key is, in one grammar: `env:NAME`, `keyring:SERVICE/NAME`, `file:PATH` or `file:PATH#NAME`,
`oneiric:PROVIDER/ID` or `oneiric:PROVIDER/ID#FIELD`. What is after the scheme is read by the scheme.

Standard library only, and little of it: the helper that clients start for each key reads this.
"""

from typing import NamedTuple

from mahavishnu.ai.secrets.table import SCHEMES, scheme_of
from mahavishnu.base.errors import UsageError

MAX_LENGTH = 1_024
MAX_NAME_LENGTH = 128
VARIABLE = "env"


class Reference(NamedTuple):
    """
    The place of one key; `str` gives it in its one form.

    `place` is the variable, the service of a keyring, the path of a file, or PROVIDER/ID of a cloud
    store; `name` the entry in there, empty for a variable and for what holds one key and nothing else.
    """

    scheme: str
    place: str
    name: str = ""

    def __str__(self) -> str:
        name = f"{scheme_of(self.scheme).mark}{self.name}" if self.name else ""
        return f"{self.scheme}:{self.place}{name}"

    @property
    def variable(self) -> str:
        """The variable that the key is in; empty for any other place."""
        return self.place if self.scheme == VARIABLE else ""


def parse_reference(text: str) -> Reference:
    """
    Return the reference that `text` is; `${NAME}` means `env:NAME`.

    Raises:
        UsageError: `secret.reference`. The text is not in the message: it may be a key.
    """
    if text.startswith("${") and text.endswith("}"):
        if not is_name(text[2:-1]):
            raise UsageError(
                "A reference in braces holds the name of a variable and nothing else.",
                hint="Without a default, which would be a key in plain text: env:NAME",
                code="secret.reference",
            )
        return Reference(VARIABLE, text[2:-1])
    scheme, colon, rest = text.partition(":")
    if len(text) > MAX_LENGTH or not text.isprintable() or text != text.strip():
        raise _no_reference()
    if not colon or scheme not in SCHEMES:
        raise _no_reference()
    return Reference(scheme, *scheme_of(scheme).parse(rest))


def is_name(text: str) -> bool:
    """Tell whether `text` can be the name of a variable."""
    return len(text) <= MAX_NAME_LENGTH and text.isascii() and text.isidentifier()


def bad_reference(message: str) -> UsageError:
    """Return the error for what is no reference; the message must not have the text."""
    return UsageError(message, hint=f"Write {known_forms()}.", code="secret.reference")


def known_forms() -> str:
    """Return how references of all stores look."""
    *forms, last = filter(None, (scheme_of(name).form for name in SCHEMES))
    return f"{', '.join(forms)}, or {last}"


def _no_reference() -> UsageError:
    return bad_reference(
        "This does not say where a key is; if it is the key itself, keep it out of files."
    )
