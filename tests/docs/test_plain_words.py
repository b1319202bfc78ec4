"""Documents, help, messages and docstrings have none of the phrases that readers stumble over."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.docs.test_docs import PAGES, ROOT, name_of

# The phrase, as a pattern, and what to write instead.
RIDDLES = {
    r"(?:is|are|was|were|cannot be) told": "reports, shows, learns; name who does it",
    r"tells? of|told of": "reports, lists, describes",
    r"(?:is|are) said": "says, states; name who does it",
    r"speaks? of": "names, mentions, sets",
    r"stands? (?:there|in|around|beside|behind|between)": "is in, contains, has",
    r"as it stands": "unchanged",
    r"(?:bring|brings|brought)(?: [\w`]+){0,4} along": "restart, move, include",
    r"(?:lead|leads|led)(?: \w+)? elsewhere": "names another address, redirects",
    r"goe?s? before": "overrides, precedes",
    r"without a word": "silently, without a message",
    r"(?:that|which|what) (?:is|are|was) none": "is not one, is missing; name it",
    r"(?:those|one|that|modes|words|hooks|session) of before": "earlier, previous",
    r"(?:can|could|to) be had": "is available, can be read",
    r"for want of": "because ... is missing",
    r"as ever": "as usual",
    r"but on this machine": "except on this machine",
    r"anew": "again",
    r"by hand of": "by",
    r"out of npm": "from npm",
    r"(?<!`)mends?(?!`)": "fix",
}
RIDDLE = re.compile(rf"\b(?:{'|'.join(RIDDLES)})\b", re.IGNORECASE)


def riddles(text: str) -> list[str]:
    """Return the phrases in a text, whatever its line breaks."""
    return [match[0] for match in RIDDLE.finditer(" ".join(text.split()))]


def strings(path: Path) -> Iterator[ast.Constant]:
    """Yield every text in a module: help, messages, hints and docstrings."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node


def test_no_document_has_a_riddle() -> None:
    """The changelog is history, and stays as it was written."""
    pages = [page for page in PAGES if page.name != "CHANGELOG.md"]
    found = {name_of(page): riddles(page.read_text("utf-8")) for page in pages}
    assert {page: phrases for page, phrases in found.items() if phrases} == {}


def test_no_text_of_the_package_has_a_riddle() -> None:
    modules = sorted((ROOT / "mahavishnu").rglob("*.py"))
    found = [
        (f"{name_of(module)}:{node.lineno}", phrase)
        for module in modules
        for node in strings(module)
        for phrase in riddles(node.value)
    ]
    assert found == []


def test_readme_fits_150_lines() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


def test_what_counts_as_a_riddle() -> None:
    for text in (
        "A refusal is told and not sought elsewhere.",
        "a key stands\n    there in plain text",
        "Bring running sessions along",
        "the SDK brings along",
        "an answer that leads elsewhere",
    ):
        assert riddles(text), text
    assert riddles("It tells whether a file is there, and `mend` stands for a function.") == []
