"""
Where a key is, in one grammar: `env:NAME`, `keyring:SERVICE/NAME`, `file:PATH` or `file:PATH#NAME`.

Standard library only, and little of it: the helper that clients start for each key reads this.
"""

from typing import Literal, NamedTuple

from mahavishnu.errors import UsageError

type Scheme = Literal["env", "keyring", "file"]
MAX_LENGTH = 1_024
MAX_NAME_LENGTH = 128
_FORMS = "Write env:NAME, keyring:SERVICE/NAME, or file:PATH#NAME for a GPG or age file."


class Reference(NamedTuple):
    """
    The place of one key; `str` gives it in its one form.

    `place` is the variable, the service of a keyring or the path of a file; `name` the entry in
    there, empty for a variable and for a file that holds one key and nothing else.
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
    raise _no_reference()


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
