"""Hide what must not be shown."""

import re

MASK = "***"
# Each begins at the beginning of a word, or is bounded: a long line without one takes no time by its square.
_URL = re.compile(r"\b[a-z][a-z0-9+.-]{0,30}://[^\s\"'<>]+", re.IGNORECASE)
_AUTHORIZATION = re.compile(r"\b(bearer|basic)\s+[^\s\"',;]+", re.IGNORECASE)
_NAMED = re.compile(
    r"""((?<![\w-])[\w-]*(?:password|passwd|secret|token|api[_-]?key)["']?\s*[=:]\s*)[^\s"',;]+""",
    re.IGNORECASE,
)
_KEY = re.compile(r"\b(?:sk|pk|ghp|gho|github_pat|glpat|xox[abp]|AGE-SECRET-KEY)[-_][\w-]{8,}")


class Secret:
    """A string that shows itself only to `reveal`, not in repr, logs or dataclass dumps."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the string itself."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret('***')"

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not serialised")


def mask_url(url: str) -> str:
    """
    Return an address of a service with its name and password, and its query, replaced by `***`.

    It need not be well-formed: everything before the last `@` is hidden, but for the scheme.
    """
    credentials, at, place = url.rpartition("@")
    scheme, separator, _ = credentials.partition("://")
    hidden = f"{scheme if separator else ''}{separator}{MASK}{at}" if at else ""
    address, mark, _ = place.partition("?")
    return f"{hidden}{address}{mark}{MASK if mark else ''}"


def mask_secrets(text: str) -> str:
    """
    Return a message with what looks like a secret replaced by `***`.

    That is: the name, password and query of addresses, credentials after Bearer or Basic, the values of names such
    as `password` and `api_key`, and keys of well-known forms.
    """
    hidden = _URL.sub(lambda found: mask_url(found[0]), text)
    hidden = _AUTHORIZATION.sub(rf"\1 {MASK}", hidden)
    return _KEY.sub(MASK, _NAMED.sub(rf"\1{MASK}", hidden))
