"""The keys that JSON output is said to have are those it has."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.operations.bodies import HitBody, MemoryBody
from tests.docs.test_docs import DOCS
from tests.support.command import UNMEASURED, Command
from tests.support.switching import install

PAGE = DOCS / "reference" / "json-output.md"


def sections() -> dict[str, str]:
    parts = re.split(r"^## (.+)$", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]
    return dict(zip((name.replace("`", "") for name in parts[::2]), parts[1::2], strict=True))


def documented(text: str) -> set[str]:
    return set(re.findall(r"`([a-z_]+)`", text))


def keys_of(value: Any) -> Iterator[str]:
    """Yield every key; those of `metadata`, `skipped` and `settings` are the user's or settings."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            if key == "settings" and isinstance(inner, dict):
                yield from keys_of(next(iter(inner.values())))
            elif key not in ("metadata", "skipped"):
                yield from keys_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys_of(inner)


@pytest.mark.postgres
def test_documented_keys_are_the_real_ones(tmp_path: Path) -> None:
    run = Command(tmp_path, {"MAHAVISHNU_EMBEDDING_PROVIDER": "none", **UNMEASURED})
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents/a.md").write_text("# One\n\nText.\n")
    (tmp_path / "documents/b.md").write_text("a\0b")
    pages = sections()

    def keys(*words: str) -> set[str]:
        return set(keys_of(run(*words, "--json").json))

    imports = ("memory", "import", "markdown", "documents", "--project", "p")
    assert keys(*imports) == documented(pages["memory import markdown, memory import git"])
    assert run("db", "shell", "-Xc", "\\c - postgres", "-c", "CREATE ROLE ana").status == 0
    db = keys("db", "current") | keys("db", "init") | keys("db", "url") | keys("db", "grant", "ana")
    assert db == documented(pages["db"])
    assert keys("model", "status") | keys("model", "list") <= documented(pages["model"])
    config = (("show",), ("validate",), ("path",), ("trust", "."))
    assert set().union(*(keys("config", *words) for words in config)) == documented(pages["config"])


def test_keys_of_memories_and_hits_are_documented() -> None:
    _, memory, hit, _ = sections()["Memories and records"].split("\n### ")
    rows = [re.findall(r"^\| (`.+?) \|", text, re.MULTILINE) for text in (memory, hit)]
    keys, more = (documented(" ".join(each)) for each in rows)
    assert keys == set(MemoryBody.__struct_fields__)
    assert keys | more == set(HitBody.__struct_fields__)


def test_keys_of_profiles_are_documented(tmp_path: Path) -> None:
    run = Command(tmp_path, UNMEASURED)
    known = documented(sections()["ai profile"])

    def keys(*words: str | Path) -> set[str]:
        return set(run("ai", "profile", *words, "--json").json)

    assert keys("show", "qwen") <= known and keys("list") <= known
    assert set(run("ai", "profile", "list", "--json").json["profiles"][0]) == keys("show", "qwen")
    file = tmp_path / "profiles.json"
    file.write_text(run("ai", "profile", "export", "zai", "--json").out)
    assert keys("import", file, "--replace") <= known and keys("remove", "zai") <= known


def test_documented_keys_of_a_switch_are_the_real_ones(tmp_path: Path) -> None:
    run = Command(tmp_path, {**UNMEASURED, "QWEN_API_KEY": "sk-fake"})
    paths = install(tmp_path)
    pages = sections()

    def keys(*words: str) -> set[str]:
        return set(keys_of(run("ai", *words, "--json").json))

    members = {"apiKeyHelper"}  # the user's: values of a client's file
    switched = keys("switch-llm", "qwen") - members
    provider = {"name", "base_url", "wire_api", "auth", "command", "args", "timeout_ms",
                "refresh_interval_ms", "id", "baseUrl", "envKey"}  # fmt: skip
    modes = {"native", "helper", "environment", "written", "keyless"}
    assert switched - (provider - {"id"}) == documented(pages["ai switch-llm"]) - modes - {"reason"}
    path = paths["claude-code"]
    path.write_text(re.sub(r'"API_TIMEOUT_MS": "\d+"', '"API_TIMEOUT_MS": "1"', path.read_text()))
    status = documented(pages["ai status"]) - {"folder"}  # of a binding
    assert keys("status") == status
    clients = set(keys_of(run("ai", "status", "--json").json["clients"]))
    assert keys("list-llms") == documented(pages["ai list-llms"]) | clients
    lists = keys("secrets", "list") | keys("secrets", "check") | keys("secrets", "test", "qwen")
    assert lists <= documented(pages["ai secrets"])
    assert keys("diff") == documented(pages["ai diff"]) - {"problem"}  # of what cannot be read
    values = (switched & (provider | members)) - {"id"}  # of the elements that clients' lists have
    assert keys("restore", "--dry-run") - values == documented(pages["ai restore"])
    assert keys("adopt") == documented(pages["ai adopt"])
    run("ai", "undo")
    assert keys("history") == documented(pages["ai history, ai undo"]) - {
        "settled", "title", "given_up", "confirmed", "already",
    }  # fmt: skip
    assert keys("undo", "--overwrite") <= documented(pages["ai history, ai undo"])


def test_documented_keys_of_bound_directories_are_the_real_ones(tmp_path: Path) -> None:
    run = Command(tmp_path, {**UNMEASURED, "QWEN_API_KEY": "sk-fake"})
    install(tmp_path)
    (tmp_path / "work").mkdir()
    told: set[str] = set()
    for words in (("bind", "qwen", "work"), ("bindings",), ("unbind", "work")):
        told |= set(keys_of(run("ai", *words, "--json").json))
    assert told == documented(sections()["ai bind, ai unbind, ai bindings"]) - {"unguarded"}
