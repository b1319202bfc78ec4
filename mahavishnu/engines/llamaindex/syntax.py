"""The definitions of a source file, by grammars out of wheels with one each."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from tree_sitter import Language, Node, Parser, Point

# Language -> module, and the function that gives the grammar where it is not `language`.
_GRAMMARS: Mapping[str, tuple[str, str]] = {
    name: (f"tree_sitter_{name}", "language")
    for name in (
        "bash c c_sharp cpp go java javascript kotlin lua python ruby rust scala swift".split()
    )
} | {
    "php": ("tree_sitter_php", "language_php"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
}
# A parser reports each hundred steps. Real files need up to 22 reports for a thousand bytes; what a grammar was not
# made for takes 80, and gigabytes.
_REPORTS_EACH_KB = 30
_REPORTS_AT_LEAST = 500
_READ_BYTES = 1 << 16
_DEFINING = ("_definition", "_declaration", "_item", "_spec", "_specifier")
_DEFINING_WHOLE = frozenset(
    {"method", "singleton_method", "class", "module", "function", "type_alias", "object"}
)
# Nodes that hold no definition anybody would look for.
_CLOSED = (
    "expression", "arguments", "argument_list", "parameters", "parameter_list", "string", "comment",
    "literal", "_type", "return_statement", "import_statement", "template_string",
)  # fmt: skip
_FUNCTIONS = ("function", "method", "constructor", "declarator")
_MAX_DEPTH = 40
_MAX_NAME = 200


@dataclass(frozen=True, order=True)
class Symbol:
    """A definition; lines count from 1, inclusive. `name` has what it is in before it, with dots."""

    start_line: int
    end_line: int
    name: str
    is_function: bool


def find_symbols(text: str, language: str) -> list[Symbol] | None:
    """Return what a file defines, in order; None without a grammar that gets through it."""
    grammar = grammar_of(language)
    if grammar is None:
        return None
    source = text.encode()
    left = _REPORTS_AT_LEAST + _REPORTS_EACH_KB * len(source) // 1000

    def read(place: int, _: Point) -> bytes:
        return source[place : place + _READ_BYTES]

    def is_too_much(_offset: int, _has_error: bool) -> bool:
        nonlocal left
        left -= 1
        return left < 0

    found: list[Symbol] = []
    try:
        _walk(Parser(grammar).parse(read, progress_callback=is_too_much).root_node, (), found, 0)
    except ValueError:
        return None
    return sorted(found)


@cache
def grammar_of(language: str) -> Language | None:
    """Return the grammar of a language; None where there is none, or no wheel for this machine."""
    if language not in _GRAMMARS:
        return None
    module, function = _GRAMMARS[language]
    try:
        return Language(getattr(import_module(module), function)())
    except ImportError:
        return None


def symbols_between(symbols: Sequence[Symbol], start: int, end: int) -> list[str]:
    """Return the names that begin within lines, both inclusive; without any, the innermost around the first."""
    first = bisect_right(symbols, start - 1, key=lambda each: each.start_line)
    beyond = bisect_right(symbols, end, key=lambda each: each.start_line)
    if first < beyond:
        return [each.name for each in symbols[first:beyond]]
    around = [each for each in symbols[:first] if each.end_line >= start]
    return [around[-1].name] if around else []


def _walk(node: Node, above: tuple[str, ...], found: list[Symbol], depth: int) -> None:
    for child in node.named_children:
        kind, name = child.type, _name_of(child)
        inner = (*above, name) if name else above
        if name:
            start, end = child.start_point.row + 1, child.end_point.row + 1
            is_function = any(part in kind for part in _FUNCTIONS)
            found.append(Symbol(start, end, ".".join(inner), is_function))
        if depth < _MAX_DEPTH and not kind.endswith(_CLOSED):
            _walk(child, inner, found, depth + 1)


def _name_of(node: Node) -> str:
    """Return the name of what a node defines; an empty one where it defines nothing."""
    if node.type == "variable_declarator":  # const f = () => ...
        value = node.child_by_field_name("value")
        if value is None or value.type not in ("arrow_function", "function_expression", "class"):
            return ""
    elif not (node.type.endswith(_DEFINING) or node.type in _DEFINING_WHOLE):
        return ""
    named = node.child_by_field_name("name")
    if named is None and node.type == "impl_item":
        named = node.child_by_field_name("type")
    if named is None and node.type == "function_definition":  # C: the name is in the declarator
        named = node.child_by_field_name("declarator")
        while named is not None and (inner := named.child_by_field_name("declarator")):
            named = inner
    text = named.text.decode("utf-8", "replace") if named is not None and named.text else ""
    return text if len(text) <= _MAX_NAME and "\n" not in text else ""
