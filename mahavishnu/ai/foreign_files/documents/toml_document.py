"""
TOML settings in which single members are exchanged as text, all other bytes kept.

The library for this, tomlkit, keeps less than that: tried in 0.15, it ended new lines in LF in a file of
CRLF, put a new key between a table and the comment above it, dropped a blank of an inline table,
left blank lines behind, and failed on tables whose parts are scattered; and it takes 190 ms to import.
"""

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self, cast

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
from mahavishnu.ai.foreign_files.documents.toml_text import (
    Header,
    Pair,
    TomlEntry,
    read_entries,
    read_statements,
    read_strictly,
    read_tables,
)
from mahavishnu.ai.foreign_files.documents.toml_values import render, render_key, render_sections
from mahavishnu.base.errors import Conflict, Corrupt


@dataclass(frozen=True)
class TomlDocument:
    """A valid TOML text; new tables go to its end, new pairs behind the last one of their table."""

    ends_visibly: ClassVar[bool] = False
    text: str

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Refuse what the standard library's parser refuses, and a BOM."""
        return cls(read_strictly(content))

    @property
    def content(self) -> bytes:
        """The whole text."""
        return encode(self.text)

    def get(self, path: KeyPath) -> Value | Absent:
        """Return the value; dates are those of the standard library."""
        check_path(path)
        value: object = self._tables
        for depth, key in enumerate(path):
            if not isinstance(value, dict):
                raise not_an_object(path[:depth], self.text, self._position(path[:depth]))
            if key not in value:
                return ABSENT
            value = value[key]
        return cast(Value, value)

    def set(self, path: KeyPath, value: Value) -> Self:
        """Exchange the value; in a table that is there, member by member."""
        check_value(value)
        render(value)
        old = self.get(path)
        if old is not ABSENT and same_value(old, value, exact=True):
            return self
        wanted = _assigned(self._tables, path, value)
        return self._write(path, old, value)._agreeing(wanted)

    def remove(self, path: KeyPath, *, made: KeyPath | None = None) -> Self:
        """Take out the lines of a pair or table, with a blank line before a header."""
        if self.get(path) is ABSENT:
            return self
        changed = self._erase(path)._agreeing(*_removed(self._tables, path))
        return changed._prune(emptied(path, made))

    def include(self, path: KeyPath, element: Value) -> Self:
        """Put `element` at the end of the list, unless one like it is there."""
        elements = self._elements(path)
        if elements is None:
            return self.set(path, [element])
        check_value(element)
        if any(same_value(each, element, exact=True) for each in elements):
            return self
        changed = self._append(self._place_of(path), render(element))
        return changed._agreeing(_assigned(self._tables, path, [*elements, element]))

    def exclude(self, path: KeyPath, element: Value, *, made: KeyPath | None = None) -> Self:
        """Take elements like this out of the list."""
        changed = self
        elements = self._elements(path) or []
        gone = [n for n, each in enumerate(elements) if same_value(each, element, exact=True)]
        for number in reversed(gone):
            entries, _ = read_entries(changed.text, changed._place_of(path))
            changed = changed._take_out(changed._place_of(path), entries[number])
        kept = cast(Value, [each for n, each in enumerate(elements) if n not in gone])
        if gone:
            changed = changed._agreeing(_assigned(self._tables, path, kept))
        return changed._prune([path, *emptied(path, made)] if made else [])

    @cached_property
    def _tables(self) -> dict[str, object]:
        return read_tables(self.text)

    @cached_property
    def _statements(self) -> list[Header | Pair]:
        return read_statements(self.text)

    @property
    def _pairs(self) -> list[Pair]:
        return [each for each in self._statements if isinstance(each, Pair)]

    def _agreeing(self, *wanted: dict[str, object]) -> Self:
        """Return this document if it says one of what is wanted: nothing foreign may have changed."""
        try:
            agrees = any(same_value(self._tables, each, exact=True) for each in wanted)
        except Corrupt:
            agrees = False
        if agrees:
            return self
        raise Conflict(
            "The file is written in a way that this change cannot be fitted into.",
            hint="Make the change in an editor; the file was left as it is.",
            code="document.unfit",
        )

    def _position(self, path: KeyPath) -> int:
        holders = (each for each in self._statements if each.path[: len(path)] == path)
        first = next(holders, None)
        return 0 if first is None else first.start

    def _splice(self, start: int, end: int, text: str) -> Self:
        return type(self)(self.text[:start] + text + self.text[end:])

    def _pair_around(self, path: KeyPath) -> Pair | None:
        """Return the pair of this path, or the one whose inline table holds it."""
        return next((p for p in self._pairs if path[: len(p.path)] == p.path), None)

    def _entry_around(self, start: int, path: KeyPath) -> tuple[int, KeyPath, TomlEntry | None]:
        """Return the innermost inline table on the path, the rest of the path in it, and its entry."""
        entries, _ = read_entries(self.text, start)
        for entry in entries:
            if entry.path == path:
                return start, path, entry
            if path[: len(entry.path)] == entry.path:
                return self._entry_around(entry.value, path[len(entry.path) :])
        return start, path, None

    def _place_of(self, path: KeyPath) -> int:
        """Return where the value of a pair, or of an entry of an inline table, begins."""
        pair = self._pair_around(path)
        if pair is None:
            raise not_an_object(path, self.text, self._position(path))
        if pair.path == path:
            return pair.value
        entry = self._entry_around(pair.value, path[len(pair.path) :])[2]
        assert entry is not None
        return entry.value

    def _elements(self, path: KeyPath) -> list[Value] | None:
        value = self.get(path)
        if value is ABSENT:
            return None
        if not isinstance(value, list):
            raise not_an_object(path, self.text, self._position(path))
        return value

    def _write(self, path: KeyPath, old: Value | Absent, value: Value) -> Self:
        pair = self._pair_around(path)
        if pair is not None and pair.path == path:
            return self._splice(pair.value, pair.value_end, render(value))
        if pair is not None:
            start, rest, entry = self._entry_around(pair.value, path[len(pair.path) :])
            if entry is not None:
                return self._splice(entry.value, entry.end, render(value))
            if old is ABSENT:
                return self._append(start, f"{render_key(rest)} = {render(value)}")
        if isinstance(old, dict) and isinstance(value, dict):
            changed = self
            for key in old.keys() - value.keys():
                changed = changed.remove((*path, key))
            for key, member in value.items():
                changed = changed.set((*path, key), member)
            return changed
        if old is not ABSENT:
            return self.remove(path).set(path, value)
        return self._add(path, value)

    def _add(self, path: KeyPath, value: Value) -> Self:
        """Write a member that is not there: a pair of its table, or a table at the end."""
        depth = next(n for n in range(len(path)) if self.get(path[: n + 1]) is ABSENT)
        table = path[:depth]
        dotted = [p for p in self._pairs if p.path[:depth] == table and len(p.section) < depth]
        if dotted:
            last = dotted[-1]
            key = render_key(path[len(last.section) :])
            return self._add_line(last.end, f"{self._margin(last)}{key} = {render(value)}")
        for key in reversed(path[depth + 1 :]):
            value = {key: value}
        name = path[depth]
        if isinstance(value, dict):
            return self._add_sections((*table, name), value)
        sections = [s for s in self._statements if isinstance(s, Header) and s.path == table]
        if table and not sections:
            return self._add_sections(table, {name: value})
        pairs = [p for p in self._pairs if p.section == table]
        line = f"{render_key((name,))} = {render(value)}"
        if pairs:
            return self._add_line(pairs[-1].end, self._margin(pairs[-1]) + line)
        return self._add_line(sections[0].end if sections else self._top, line)

    def _margin(self, pair: Pair) -> str:
        return self.text[pair.start : pair.key]

    @property
    def _top(self) -> int:
        """Where the first pair of a file without one goes: not between a header and its comment."""
        first = next(iter(self._statements), None)
        if first is None:
            return len(self.text)
        lines = self.text[: first.start].splitlines(keepends=True)
        while lines and lines[-1].strip():
            lines.pop()
        while lines and not lines[-1].strip():
            lines.pop()
        return sum(map(len, lines))

    def _add_line(self, place: int, line: str) -> Self:
        newline = newline_of(self.text)
        if place and self.text[place - 1] != "\n":
            return self._splice(place, place, newline + line)
        return self._splice(place, place, line + newline)

    def _add_sections(self, path: KeyPath, table: dict[str, Value]) -> Self:
        newline = newline_of(self.text)
        sections = render_sections(path, table, newline)
        if not self.text:
            return type(self)(sections)
        if self.text.endswith("\n"):
            return type(self)(self.text + newline + sections)
        return type(self)(self.text + newline * 2 + sections.removesuffix(newline))

    def _erase(self, path: KeyPath) -> Self:
        pair = self._pair_around(path)
        if pair is not None and pair.path != path:
            return self._erase_entries(pair.value, path[len(pair.path) :])
        changed = self
        for start, end in reversed(self._regions(path)):
            changed = changed._erase_lines(start, end)
        return changed

    def _erase_entries(self, start: int, path: KeyPath) -> Self:
        start, rest, _ = self._entry_around(start, path)
        changed = self
        for entry in reversed(read_entries(self.text, start)[0]):
            if entry.path[: len(rest)] == rest:
                changed = changed._take_out(start, entry)
        return changed

    def _regions(self, path: KeyPath) -> list[tuple[int, int]]:
        """Return the lines of all statements below `path`, a table's with what lies between them."""
        found: list[tuple[int, int]] = []
        inside = False
        for each in self._statements:
            if isinstance(each, Header):
                inside = each.path[: len(path)] == path
                if inside:
                    found.append((self._with_blank_line(each.start), each.end))
            elif inside:
                found[-1] = (found[-1][0], each.end)
            elif each.path[: len(path)] == path:
                found.append((each.start, each.end))
        return found

    def _with_blank_line(self, start: int) -> int:
        before = re.search(r"(?:^|\n)(\r?\n)\Z", self.text[:start])
        return before.start(1) if before else start

    def _erase_lines(self, start: int, end: int) -> Self:
        if end >= len(self.text) and not self.text.endswith("\n"):
            start = len(self.text[:start].removesuffix("\n").removesuffix("\r"))
        return self._splice(start, end, "")

    def _append(self, start: int, item: str) -> Self:
        """Put an item at the end of the list or inline table at `start`, in the style of the last one."""
        entries, close = read_entries(self.text, start)
        if not entries:
            return self._splice(close, close, item)
        last = entries[-1]
        lead = self.text[last.lead : last.start]
        if "#" in lead:
            lead = newline_of(self.text) + lead[lead.rindex("\n") + 1 :]
        return self._splice(last.end, last.end, f",{lead or ' '}{item}")

    def _take_out(self, start: int, entry: TomlEntry) -> Self:
        entries, close = read_entries(self.text, start)
        place = entries.index(entry)
        if place > 0:
            return self._splice(entries[place - 1].end, entry.end, "")
        if len(entries) > 1:
            return self._splice(entry.start, entries[1].start, "")
        tail = self.text[entry.end : close]
        return self._splice(entry.lead if tail else entry.start, close, "")

    def _prune(self, parents: list[KeyPath]) -> Self:
        changed = self
        for parent in parents:
            value = changed.get(parent)
            if value is not ABSENT and value not in ({}, []):
                break
            changed = changed.remove(parent)
        return changed


def _assigned(tables: dict[str, object], path: KeyPath, value: Value) -> dict[str, object]:
    """Return what a file with these tables says after the change."""
    changed = copy.deepcopy(tables)
    inner = changed
    for key in path[:-1]:
        inner = cast(dict[str, object], inner.setdefault(key, {}))
    inner[path[-1]] = value
    return changed


def _removed(tables: dict[str, object], path: KeyPath) -> Iterator[dict[str, object]]:
    """Yield what may be left: a table that dotted keys or headers below it implied goes with the last."""
    while path:
        changed = copy.deepcopy(tables)
        inner = changed
        for key in path[:-1]:
            inner = cast(dict[str, object], inner[key])
        del inner[path[-1]]
        yield changed
        if inner:
            return
        path = path[:-1]
