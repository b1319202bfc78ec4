"""Foreign settings files, made up from a seed: every style of JSON and TOML that is valid."""

import json
import random
import re
import string
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

type Kind = Literal["text", "texts", "object", "list"]
type Kinds = Mapping[tuple[str, ...], Kind]

MARK = "\x00"
WORDS = ("env", "hooks", "model", "permissions", "ANTHROPIC_MODEL", "x", "", "a.b", "é", "日本語", "a b",
         'q"uote', "\\", "🙂", "mcpServers", "$version")  # fmt: skip
NUMBERS = (
    "0",
    "-0",
    "1",
    "1.0",
    "1e5",
    "1E+5",
    "-1.50",
    "123456789012345678901234567890",
    "0.1e-7",
)
STRINGS = ('""', '"x"', '"\\u00e9"', '"é\\/\\n"', '"\\ud83d\\ude42 🙂"', '"\\ud800"', '"// no comment"',
           '"{\\"a\\": 1,}"', '"\\\\"', '"\u2028"')  # fmt: skip


@dataclass(frozen=True)
class Foreign:
    """A file, cut around the value of one member."""

    path: tuple[str, ...]
    before: str
    value: str
    after: str

    @property
    def text(self) -> str:
        return self.before + self.value + self.after


def strict_json(content: bytes) -> Any:
    """Parse as JSON.parse does, and refuse duplicate keys too."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    def constant(name: str) -> None:
        raise AssertionError(name)

    return json.loads(content.decode(), object_pairs_hook=members, parse_constant=constant)


class JsonWriter:
    """Writes one file in a style of its own, or in none."""

    def __init__(self, seed: int, kinds: Kinds) -> None:
        self.random = random.Random(seed)
        self.kinds = kinds
        self.words = (*WORDS, *sorted({path[-1] for path in kinds} - {*WORDS}))
        pick = self.random.choice
        self.newline = pick(["\n", "\r\n"])
        self.indent = pick(["  ", "    ", "\t", "   "])
        self.colon = pick([": ", ":", " : "])
        self.shape = pick(["lines", "lines", "line", "chaos"])
        self.targets: list[tuple[str, ...]] = []

    def file(self) -> Foreign:
        """Return a file with at least one member."""
        tree = self.members(0, ())
        tree = tree or [("x", '"x"', "1")]
        self.targets = self.targets or [("x",)]
        target = self.random.choice(self.targets)
        text = self.blank(0) + self.emit(tree, 0, (), target) + self.blank(0)
        if self.shape != "chaos":
            text = text.strip() + self.random.choice(["", self.newline, self.newline * 2])
        return Foreign(target, *text.split(MARK))

    def members(self, depth: int, path: tuple[str, ...]) -> list[Any]:
        names = self.random.sample(self.words, self.random.randint(0, 4))
        made = []
        for name in names:
            inner = (*path, name)
            self.targets.append(inner)
            made.append((name, self.key(name), self.value(depth + 1, inner)))
        return made

    def value(self, depth: int, path: tuple[str, ...]) -> Any:
        """Return any value, or one of the kind that is wanted there."""
        pick = self.random
        match self.kinds.get(path):
            case "text":
                return pick.choice(STRINGS)
            case "texts":
                names = pick.sample(self.words, pick.randint(0, 4))
                return [(name, self.key(name), pick.choice(STRINGS)) for name in names]
            case "object":
                return self.members(depth, path)
            case "list":
                return tuple(self.node(depth + 1, None) for _ in range(pick.randint(0, 3)))
            case None:
                return self.node(depth, path)

    def key(self, name: str) -> str:
        return json.dumps(name, ensure_ascii=self.random.random() < 0.3)

    def node(self, depth: int, path: tuple[str, ...] | None) -> Any:
        kind = self.random.random()
        if depth < 5 and kind < 0.35:
            if path is not None:
                return self.members(depth, path)
            return [(name, self.key(name), "1") for name in self.random.sample(WORDS, 2)]
        if depth < 5 and kind < 0.5:
            return tuple(self.node(depth + 1, None) for _ in range(self.random.randint(0, 3)))
        return self.random.choice((*NUMBERS, *STRINGS, "true", "false", "null"))

    def blank(self, depth: int) -> str:
        if self.shape == "chaos":
            count = self.random.randint(0, 3)
            return "".join(self.random.choice(" \t") for _ in range(count)).replace(
                "\t", self.random.choice(["\t", self.newline])
            )
        return self.newline + self.indent * depth if self.shape == "lines" else ""

    def emit(self, node: Any, depth: int, path: tuple[str, ...], target: tuple[str, ...]) -> str:
        if isinstance(node, str):
            return node
        opening, closing = "{}" if isinstance(node, list) else "[]"
        parts = []
        for each in node:
            if isinstance(node, list):
                name, raw, value = each
                inner = (*path, name)
                text = self.emit(value, depth + 1, inner, target)
                if inner == target:
                    text = MARK + text + MARK
                colon = self.blank(0) + ":" + self.blank(0) if self.shape == "chaos" else self.colon
                parts.append(self.blank(depth + 1) + raw + colon + text)
            else:
                parts.append(self.blank(depth + 1) + self.emit(each, depth + 1, ("",) * 99, target))
        comma = "," + self.random.choice(["", " "]) if self.shape == "line" else ","
        space = self.blank(depth) if parts or self.shape == "chaos" else ""
        return opening + comma.join(parts) + space + closing


def foreign_json(seed: int, kinds: Kinds | None = None) -> Foreign:
    """Return a settings file of `seed`, with one of its members marked; `kinds` of values stand where it says."""
    return JsonWriter(seed, kinds or {}).file()


TOML_VALUES = ('"x"', "'lit # no comment'", "1", "0x1F", "1_000", "1.50", "inf", "nan", "true", "1979-05-27T07:32:00Z",
               "1979-05-27 07:32:00", '"""\nlong # [x]\n\\""" ""\n"""', "'''\n[not.a.table]\n'''''", "[1, 2 ]",
               "[ # one\n  1, # two\n  2,\n]", '[["a"], []]', "[]", '"é\\u00e9"', '"a\\"b"')  # fmt: skip
TOML_KEYS = (
    "model",
    "a-b",
    '"dotted.key"',
    "'lit key'",
    "é".encode().hex(),
    '"é"',
    "x",
    "12",
    "y",
    "z",
)
TOML_NAMES = {raw: next(iter(tomllib.loads(f"{raw} = 1"))) for raw in TOML_KEYS}
TOML_TEXTS = tuple(value for value in TOML_VALUES if value[0] in "\"'")
TOML_ENDINGS = ("", "", "\n", "\n\n", "\n\n\n", "\r\n", " \n\n", "# last\n", "\n# last\n\n")


class TomlWriter:
    """Writes a file of pairs, dotted keys, inline tables, tables, lists of tables, comments, blanks."""

    def __init__(self, seed: int, kinds: Kinds) -> None:
        self.random = random.Random(seed)
        self.kinds = kinds
        self.newline = self.random.choice(["\n", "\n", "\r\n"])
        self.parts: list[str] = []
        self.targets: list[tuple[tuple[str, ...], int]] = []

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def noise(self) -> None:
        while self.chance(0.35):
            self.parts.append(
                self.random.choice(["\n", "# note = 1\n", "  # [x]\n", "#\n", " \n", "\r\n"])
            )

    def file(self) -> Foreign:
        """Return a file with at least one pair."""
        self.noise()
        self.pairs((), at_least=1)
        tables = self.random.sample(string.ascii_uppercase, self.random.randint(0, 4))
        for name in tables:
            self.table((name,))
        if tables and self.chance(0.3):
            self.table((tables[0], "later"), target=False)
        for path, kind in self.kinds.items():
            if kind == "object" and self.chance(0.3):
                self.table((*path, "mine"))
        self.parts.append(self.random.choice(TOML_ENDINGS))
        text, marks = "", {}
        wanted = self.random.choice(self.targets)
        for number, part in enumerate(self.parts):
            marks[number] = len(text)
            text += part
        if self.chance(0.3):
            text = text.removesuffix("\n").removesuffix("\r")
        start = marks[wanted[1]]
        end = start + len(self.parts[wanted[1]])
        cut = (text[:start], text[start:end], text[end:])
        return Foreign(wanted[0], *(self.end_lines(part) for part in cut))

    def end_lines(self, text: str) -> str:
        """Let lines end as the file's do, but for those that end in CRLF anywhere."""
        return re.sub("(?<!\r)\n", self.newline, text)

    def table(self, path: tuple[str, ...], *, target: bool = True) -> None:
        self.noise()
        brackets = ("[[", "]]") if self.chance(0.2) else ("[", "]")
        gap = self.random.choice(["", " "])
        self.parts.append(f"{brackets[0]}{gap}{'.'.join(path)}{gap}{brackets[1]}")
        self.parts.append(self.random.choice(["\n", " # about it\n"]))
        self.pairs(path if brackets[0] == "[" and target else None, at_least=0)
        if brackets[0] == "[" and target and len(path) < 3 and self.chance(0.3):
            self.table((*path, "sub"))

    def pairs(self, path: tuple[str, ...] | None, *, at_least: int) -> None:
        for raw in self.random.sample(TOML_KEYS, self.random.randint(at_least, 4)):
            self.noise()
            name = (TOML_NAMES[raw],)
            text = path is not None and self.kinds.get((*path, *name)) == "text"
            value = self.random.choice(TOML_TEXTS if text else TOML_VALUES)
            if not text and self.chance(0.15):
                raw, name = f"{raw} . deep", (*name, "deep")
            if not text and self.chance(0.15):
                value = self.random.choice(["{ a = 1, b.c = 'x' }", "{}", "{a=[1,{b=2}] }"])
            indent = self.random.choice(["", "", "  "])
            equals = self.random.choice([" = ", "=", "\t=  "])
            self.parts.append(f"{indent}{raw}{equals}")
            if path is not None:
                self.targets.append(((*path, *name), len(self.parts)))
            self.parts += [value, self.random.choice(["\n", " # why\n", "  \n"])]


def foreign_toml(seed: int, kinds: Kinds | None = None) -> Foreign:
    """Return a settings file of `seed`, with one of its pairs marked; `kinds` of values stand where it says."""
    return TomlWriter(seed, kinds or {}).file()


def some_value(seed: int, *, null: bool = True, depth: int = 0) -> Any:
    """Return a value that is put into a file."""
    source = random.Random(f"{seed}/{depth}")
    scalars: list[Any] = ["", "new", 'a"b\\c\n\x7f', "é🙂", 7, -1.5, 2**60, True, False]
    if null:
        scalars.append(None)
    kind = source.random()
    if depth < 3 and kind < 0.2:
        return [
            some_value(seed + n, null=null, depth=depth + 1) for n in range(source.randint(0, 3))
        ]
    if depth < 3 and kind < 0.4:
        names = source.sample(WORDS, source.randint(0, 3))
        return {n: some_value(seed + len(n), null=null, depth=depth + 1) for n in names}
    return source.choice(scalars)


def only_added(old: str, new: str) -> bool:
    """Tell whether `new` is `old` with one piece put in."""
    prefix = next(
        (n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b),
        min(len(old), len(new)),
    )
    return len(new) >= len(old) and new.endswith(old[prefix:])
