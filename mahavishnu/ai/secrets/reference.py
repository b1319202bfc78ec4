"""
Where a key is, in one grammar: `env:NAME`, `keyring:SERVICE/NAME`, `file:PATH` or `file:PATH#NAME`,
`oneiric:PROVIDER/ID` or `oneiric:PROVIDER/ID#FIELD`.

Standard library only, and little of it: the helper that clients start for each key reads this.
"""

import string
from typing import Literal, NamedTuple

from mahavishnu.base.errors import UsageError

type Scheme = Literal["env", "keyring", "file", "oneiric"]
MAX_LENGTH = 1_024
MAX_NAME_LENGTH = 128
_FORMS = (
    "Write env:NAME, keyring:SERVICE/NAME, file:PATH#NAME for a GPG or age file, or oneiric:aws/ID#FIELD"
    " (or gcp) for a cloud store."
)
_WORD = frozenset(string.ascii_letters + string.digits + "-_")
_FIELD = _WORD | {"."}
# What an id can be made of. The one of GCP is put into a path, so that no slash may be in it.
PROVIDERS = {
    "aws": _FIELD | frozenset("/+=@:"),  # a name, or an ARN
    "gcp": _WORD,
}


class Reference(NamedTuple):
    """
    The place of one key; `str` gives it in its one form.

    `place` is the variable, the service of a keyring, the path of a file, or PROVIDER/ID of a cloud
    store; `name` the entry in there, empty for a variable and for what holds one key and nothing else.
    """

    scheme: Scheme
    place: str
    name: str = ""

    def __str__(self) -> str:
        mark = "/" if self.scheme == "keyring" else "#"
        return f"{self.scheme}:{self.place}{f'{mark}{self.name}' if self.name else ''}"


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
        return Reference("env", text[2:-1])
    scheme, colon, rest = text.partition(":")
    if len(text) > MAX_LENGTH or not text.isprintable() or text != text.strip() or not colon:
        raise _no_reference()
    if scheme == "env":
        if not is_name(rest):
            raise _bad("After env: stands the name of a variable: letters, digits and _.")
        return Reference("env", rest)
    if scheme == "keyring":
        service, _, name = rest.rpartition("/")
        if not service or not name:
            raise _bad("After keyring: stand a service and a name: keyring:SERVICE/NAME.")
        return Reference("keyring", service, name)
    if scheme == "file":
        path, mark, name = rest.rpartition("#") if "#" in rest else (rest, "", "")
        if not path.startswith(("/", "~/")) or path.endswith("/"):
            raise _bad("After file: stands an absolute path, or one that begins with ~/.")
        if mark and not is_name(name):
            raise _bad("After # stands the name of a key in the file: letters, digits and _.")
        return Reference("file", path, name)
    if scheme == "oneiric":
        return _in_cloud(rest)
    raise _no_reference()


def _in_cloud(rest: str) -> Reference:
    place, mark, field = rest.partition("#")
    provider, _, identifier = place.partition("/")
    if provider == "infisical":
        raise UsageError(
            "Infisical is no longer a store of keys.",
            hint="Start the client by Infisical's own program (infisical run -- PROGRAM) and write env:NAME,"
            " or keep the key in a keyring, a file or another cloud store.",
            code="secret.infisical",
        )
    signs = PROVIDERS.get(provider)
    if signs is None or not identifier or not signs.issuperset(identifier):
        raise _bad(
            f"After oneiric: stand a provider ({', '.join(PROVIDERS)}), a slash and the id of a secret there."
        )
    if mark and not (0 < len(field) <= MAX_NAME_LENGTH and _FIELD.issuperset(field)):
        raise _bad("After # stands the name of a field: letters, digits, -, _ and dots.")
    return Reference("oneiric", place, field)


def is_name(text: str) -> bool:
    """Tell whether `text` can be the name of a variable."""
    return len(text) <= MAX_NAME_LENGTH and text.isascii() and text.isidentifier()


def _no_reference() -> UsageError:
    return UsageError(
        "This says not where a key is; if it is the key itself, keep it out of files.",
        hint=_FORMS,
        code="secret.reference",
    )


def _bad(message: str) -> UsageError:
    return UsageError(message, hint=_FORMS, code="secret.reference")
