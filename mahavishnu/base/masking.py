"""Hide what must not be shown."""

MASK = "***"


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
