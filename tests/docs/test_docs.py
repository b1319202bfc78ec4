"""The documents are current, complete and whole, and their examples run."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mahavishnu.base.settings.keys import BOUNDS, setting_keys
from mahavishnu.base.settings.legacy import LEGACY_KEYS
from mahavishnu.base.settings.sources import ENVIRONMENT

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(
    [*DOCS.rglob("*.md"), *(ROOT / f"{n}.md" for n in ("README", "CHANGELOG", "CONTRIBUTING"))]
)
EXAMPLES = DOCS / "how-to" / "use-from-python.md"
# Runs a block as `python -m asyncio` would, with `await` at the top level.
RUNNER = """
import ast, asyncio, inspect, sys
code = compile(sys.stdin.read(), sys.argv[1], "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
outcome = eval(code, {"__name__": "__main__"})
if inspect.iscoroutine(outcome):
    asyncio.run(outcome)
"""
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
# An installer that is given the name itself, not a path, a wheel or a folder.
_FROM_INDEX = re.compile(
    r"\b(?:pip3?|pipx|uvx|uv(?:\s+tool|\s+pip)?)\s+(?:(?:install|run|add)\s+)?"
    r"(?:-\S+\s+)*['\"]?mahavishnu(?:-ai)?(?![\w/.*-])"
)
_MACHINE_PATH = re.compile(r"(?<![\w.~$}/])/(?:work|root|Users|home/\w+|mnt|tmp/tmp)\b")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    return [code for kind, code in _FENCE.findall(page.read_text("utf-8")) if kind == language]


def links(page: Path) -> Iterator[str]:
    text = re.sub(r"`[^`\n]*`", "``", _FENCE.sub("", page.read_text("utf-8")))
    yield from _LINK.findall(text)


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_generated_pages_are_current() -> None:
    result = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "generate_docs.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if re.match(r"https?:|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), f"{name_of(page)} links to {link}"
        if anchor:
            assert anchor in anchors(target), f"{name_of(page)} links to {link}"


def test_every_page_can_be_reached_from_the_index() -> None:
    index = DOCS / "index.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    assert {page for page in DOCS.rglob("*.md") if page not in linked} == {index}


def test_the_reference_has_every_key_and_variable() -> None:
    reference = (DOCS / "reference" / "settings.md").read_text("utf-8")
    names = (*setting_keys(), *ENVIRONMENT, *LEGACY_KEYS)
    assert [name for name in names if f"`{name}`" not in reference] == []
    assert [key for key, reason in BOUNDS.items() if reason not in reference] == []


def test_the_reference_has_every_error_code() -> None:
    """Look for codes by their spelling, independently of how the table is made."""
    reference = (DOCS / "reference" / "error-codes.md").read_text("utf-8")
    codes = {
        code
        for path in (ROOT / "mahavishnu").rglob("*.py")
        for code in re.findall(
            r'(?:\bcode=|default_code = |^        )"([a-z_]+(?:\.[a-z_]+)?)"',
            path.read_text("utf-8"),
            re.MULTILINE,
        )
        if "." in code or path.name == "errors.py"
    }
    assert len(codes) > 80
    assert sorted(code for code in codes if f"`{code}`" not in reference) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_sends_its_reader_to_the_package_index(page: Path) -> None:
    assert _FROM_INDEX.findall(page.read_text("utf-8")) == []


@pytest.mark.parametrize("page", [*PAGES, DOCS / "compose.yaml"], ids=name_of)
def test_no_page_names_a_place_on_one_machine(page: Path) -> None:
    assert _MACHINE_PATH.findall(page.read_text("utf-8")) == []


def test_what_the_two_rules_above_refuse() -> None:
    for text in (
        "pip install mahavishnu",
        "uv tool install 'mahavishnu-ai[local]'",
        "uvx mahavishnu",
    ):
        assert _FROM_INDEX.search(text), text
    for text in (
        "uv tool install '.[local]'",
        "pip install dist/mahavishnu_ai-0.1.0-py3-none-any.whl",
    ):
        assert not _FROM_INDEX.search(text), text
    assert _MACHINE_PATH.search("see /home/ana/x")
    assert not _MACHINE_PATH.search("in ~/home/x or /srv/x")


@pytest.mark.postgres
@pytest.mark.parametrize("number", range(len(blocks(EXAMPLES, "python"))))
def test_the_python_examples_run_on_an_empty_database(number: int, tmp_path: Path) -> None:
    (tmp_path / ".claude").mkdir(mode=0o700)
    result = subprocess.run(
        [sys.executable, "-c", RUNNER, f"{EXAMPLES.name} block {number + 1}"],
        input=blocks(EXAMPLES, "python")[number],
        env={
            **os.environ,
            "HOME": str(tmp_path),
            "MAHAVISHNU_HOME": str(tmp_path / "mahavishnu"),
            "MAHAVISHNU_PG_IDLE_TIMEOUT": "1",
            "MAHAVISHNU_EMBEDDING_PROVIDER": "none",
            "ZAI_API_KEY": "sk-canary-of-the-docs",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr


def test_the_examples_are_there() -> None:
    assert len(blocks(EXAMPLES, "python")) >= 6
