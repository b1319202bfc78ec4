"""One key out of a decrypted text: lines `NAME=value`, or a JSON object. Nothing is evaluated."""

import json


def pick_entry(text: str, name: str) -> str | None:
    """
    Return the value of `name`; None where the text has none.

    Of lines, `#` begins a comment, `export` and quotes around a value are passed over, and the last
    of two lines with one name counts, as in a shell.
    """
    if text.lstrip().startswith("{"):
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            return None  # the error would hold the whole text
        value = values.get(name)
        return value if isinstance(value, str) else None
    found = None
    for line in text.splitlines():
        key, mark, value = line.strip().removeprefix("export ").partition("=")
        if mark and key.strip() == name:
            found = _unquoted(value.strip())
    return found


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value
