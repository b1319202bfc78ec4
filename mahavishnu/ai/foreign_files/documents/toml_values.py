"""Values as TOML text."""

import json
import re

from mahavishnu.ai.foreign_files.documents.port import KeyPath, Value, bad_value

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_INTEGERS = range(-(2**63), 2**63)


def render(value: Value) -> str:
    """Return the value in one line; tables are inline."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            if value not in _INTEGERS:
                raise bad_value("it is a number of more than 64 bits")
            return str(value)
        case float():
            return repr(value)
        case str():
            return _quote(value)
        case list():
            return f"[{', '.join(map(render, value))}]"
        case dict():
            pairs = ", ".join(f"{render_key((key,))} = {render(value[key])}" for key in value)
            return f"{{ {pairs} }}" if pairs else "{}"
        case None:
            raise bad_value("TOML has no null")


def render_key(path: KeyPath) -> str:
    """Return a dotted key."""
    return ".".join(key if _BARE.fullmatch(key) else _quote(key) for key in path)


def render_sections(path: KeyPath, table: dict[str, Value], newline: str) -> str:
    """Return a table under its header, and those in it under their own, a blank line between them."""
    inner = {key: value for key, value in table.items() if isinstance(value, dict)}
    lines = [f"{render_key((k,))} = {render(v)}" for k, v in table.items() if k not in inner]
    parts = []
    if lines or not inner:
        parts.append("".join(line + newline for line in (f"[{render_key(path)}]", *lines)))
    parts += [render_sections((*path, key), value, newline) for key, value in inner.items()]
    return newline.join(parts)


def _quote(text: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise bad_value("it is not Unicode")
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
