"""JSON settings in which single members and elements are exchanged as text, all other bytes kept."""

import json
import re
from dataclasses import dataclass
from typing import ClassVar, Self, cast

from mahavishnu.ai.foreign_files.documents.json_text import (
    Box,
    Item,
    read_box,
    read_strictly,
    skip_blanks,
)
from mahavishnu.ai.foreign_files.documents.port import (
    ABSENT,
    Absent,
    KeyPath,
    Value,
    check_path,
    check_value,
    emptied,
    encode,
    newline_of,
    not_an_object,
    same_value,
)

_INDENT = re.compile(r"\n([ \t]+)\S")
_BLANKS = re.compile(r"[ \t]*")


@dataclass(frozen=True)
class JsonDocument:
    """A strictly valid JSON object; how its neighbours are written decides how a new member is."""

    ends_visibly: ClassVar[bool] = True
    text: str

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Refuse comments, trailing commas, duplicate keys, NaN, a BOM, and what is no object."""
        return cls(read_strictly(content))

    @property
    def content(self) -> bytes:
        """The whole text."""
        return encode(self.text)

    def get(self, path: KeyPath) -> Value | Absent:
        """Return the value of the member; numbers beyond a float's range are infinite, as for Node."""
        check_path(path)
        _, item = self._walk(path)
        return ABSENT if item is None else self._value(item)

    def set(self, path: KeyPath, value: Value) -> Self:
        """Exchange the value, or put a new member at the end of its object."""
        check_path(path)
        check_value(value)
        depth, item = self._walk(path)
        if item is not None:
            if same_value(self._value(item), value):
                return self
            margin = _margin(self.text[item.lead : item.start])
            return self._splice(item.value, item.end, self._render(value, margin))
        for key in reversed(path[depth + 1 :]):
            value = {key: value}
        return self._insert(self._box(path[:depth]), path[depth], value)

    def remove(self, path: KeyPath, *, made: KeyPath | None = None) -> Self:
        """Take the member out, with the comma and the blanks before it."""
        check_path(path)
        _, item = self._walk(path)
        if item is None:
            return self
        changed = self._take_out(self._box(path[:-1]), item)
        return changed._prune(emptied(path, made))

    def include(self, path: KeyPath, element: Value) -> Self:
        """Put `element` at the end of the list, unless one like it is there."""
        check_value(element)
        item = self._list_at(path)
        if item is None:
            return self.set(path, [element])
        box = read_box(self.text, item.value)
        if any(same_value(self._value(each), element) for each in box.items):
            return self
        return self._insert(box, None, element)

    def exclude(self, path: KeyPath, element: Value, *, made: KeyPath | None = None) -> Self:
        """Take elements like this out of the list."""
        item = self._list_at(path)
        if item is None:
            return self
        box = read_box(self.text, item.value)
        for each in box.items:
            if same_value(self._value(each), element):
                return self._take_out(box, each).exclude(path, element, made=made)
        return self._prune([path, *emptied(path, made)] if made else [])

    def _walk(self, path: KeyPath) -> tuple[int, Item | None]:
        """Return the member, or None and how many keys of the path are there."""
        position = skip_blanks(self.text, 0)
        item = None
        for depth, key in enumerate(path):
            kind = self.text[position]
            item = read_box(self.text, position).find(key) if kind in "{[" else None
            if item is None and kind != "{":
                raise not_an_object(path[:depth], self.text, position)
            if item is None:
                return depth, None
            position = item.value
        return len(path), item

    def _box(self, path: KeyPath) -> Box:
        item = self._walk(path)[1] if path else None
        return read_box(self.text, item.value if item else skip_blanks(self.text, 0))

    def _list_at(self, path: KeyPath) -> Item | None:
        check_path(path)
        _, item = self._walk(path)
        if item is not None and self.text[item.value] != "[":
            raise not_an_object(path, self.text, item.value)
        return item

    def _value(self, item: Item) -> Value:
        text = self.text[item.value : item.end]
        return cast(Value, json.loads(text, parse_int=_read_integer))

    def _splice(self, start: int, end: int, text: str) -> Self:
        return type(self)(self.text[:start] + text + self.text[end:])

    def _insert(self, box: Box, key: str | None, value: Value) -> Self:
        """Put an item at the end, with the blanks of the last one; those of an empty box stay in front."""
        if box.items:
            last = box.items[-1]
            start = end = last.end
            lead = self.text[last.lead : last.start] or (self._gap if len(box.items) == 1 else "")
            before, tail = f",{lead}", ""
        else:
            start, end = box.start + 1, box.end - 1
            lead, tail = self._blanks_inside(box)
            before = self.text[start:end] + lead
        name = "" if key is None else _dump(key) + self._colon(box)
        return self._splice(start, end, before + name + self._render(value, _margin(lead)) + tail)

    def _blanks_inside(self, box: Box) -> tuple[str, str]:
        """Return what stands before and behind the first item of an object that was empty."""
        if self._one_line:
            return "", ""
        line = self.text.rfind("\n", 0, box.start) + 1
        outer = self.text[line : _BLANKS.match(self.text, line).end()]  # type: ignore[union-attr]
        newline = newline_of(self.text)
        return newline + outer + self._indent, newline + outer

    def _take_out(self, box: Box, item: Item) -> Self:
        place = box.items.index(item)
        if place > 0:
            return self._splice(box.items[place - 1].end, item.end, "")
        if len(box.items) > 1:
            return self._splice(item.start, box.items[1].start, "")
        lead, tail = self.text[item.lead : item.start], self.text[item.end : box.end - 1]
        if "\n" in lead:
            tail, lead = "", lead[: lead.rindex("\n")].removesuffix("\r")
        return self._splice(item.lead, box.end - 1, "" if tail else lead)

    def _prune(self, parents: list[KeyPath]) -> Self:
        changed = self
        for parent in parents:
            _, item = changed._walk(parent)
            if item is None or read_box(changed.text, item.value).items:
                break
            changed = changed.remove(parent)
        return changed

    @property
    def _one_line(self) -> bool:
        return "\n" not in self.text.strip() and bool(self._box(()).items)

    @property
    def _gap(self) -> str:
        """The blank that this file puts behind a colon or comma of one line."""
        return " " if '": ' in self.text or '":' not in self.text else ""

    @property
    def _indent(self) -> str:
        found = _INDENT.search(self.text)
        return found[1] if found else "  "

    def _colon(self, box: Box) -> str:
        """Return the colon as the last member has it, with its blanks."""
        if box.items:
            last = box.items[-1]
            colon = self.text[last.colon : last.value]
            if "\n" not in colon:
                return colon
        return f":{self._gap}"

    def _render(self, value: Value, margin: str | None) -> str:
        if margin is None:
            return _dump(value, separators=(f",{self._gap}", f":{self._gap}"))
        return _dump(value, indent=self._indent).replace("\n", newline_of(self.text) + margin)


def _margin(lead: str) -> str | None:
    """Return the indentation of an item that has a line of its own."""
    return lead[lead.rindex("\n") + 1 :] if "\n" in lead else None


def _dump(value: Value, **style: str | tuple[str, str]) -> str:
    """Return the JSON of a value; escaped only where UTF-8 cannot hold it."""
    text = json.dumps(value, ensure_ascii=False, **style)  # type: ignore[arg-type]
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, **style)  # type: ignore[arg-type]
    return text


def _read_integer(digits: str) -> int | float:
    try:
        return int(digits)
    except ValueError:  # more digits than Python converts
        return float(digits)
