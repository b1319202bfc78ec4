"""Hide what must not be shown."""

MASK = "***"


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
