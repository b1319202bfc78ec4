"""Which binding counts for a folder, and what the guard says to what clients hand over."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.ai.bindings.guard import judge
from mahavishnu.ai.bindings.hooks import guard_lines, is_ours
from mahavishnu.ai.bindings.keys import require_bound_profile
from mahavishnu.ai.bindings.location import copy_of, path_in, state_folder
from mahavishnu.ai.bindings.match import Unresolved, find_binding, identify
from mahavishnu.ai.bindings.profiles import expected_of
from mahavishnu.ai.bindings.store import (
    Binding,
    Bindings,
    FolderIdentity,
    Unreadable,
    read_bindings,
    render,
)
from mahavishnu.ai.clients.hook_call import HookCall
from mahavishnu.ai.clients.hook_call import read_words as read_words_of
from mahavishnu.ai.clients.key_command import helper_line, helper_words, read_words
from mahavishnu.ai.routes.routes import routes_in, tokens_in
from mahavishnu.ai.secrets.reference import parse_reference
from mahavishnu.base.errors import Forbidden, NotFound
from mahavishnu.base.paths import locate
from tests.support.switching import CLAUDE, CODEX, ONE, TWO

HELPER = Path("/opt/bin/mahavishnu-key")
EXPECTED = expected_of(ONE, helper=HELPER)
URL = ONE.endpoints["anthropic"]
CHAT = ONE.endpoints["openai-chat"]


def row(folder: Path, name: str = "one", **more: Any) -> Binding:
    folder.mkdir(parents=True, exist_ok=True)
    return Binding(name, identify(folder.resolve()), EXPECTED, "2026-11-21T00:00:00+00:00", **more)


def name_at(folder: Path, *rows: Binding) -> str | None:
    found = find_binding(folder, rows)
    return found and found.profile


def test_a_directory_and_what_is_below_it_is_bound(tmp_path: Path) -> None:
    bound = row(tmp_path / "a")
    assert name_at(tmp_path / "a", bound) == name_at(tmp_path / "a/not/there", bound) == "one"
    assert name_at(tmp_path, bound) is name_at(tmp_path / "ab", bound) is None
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert name_at(tmp_path / "link", bound) == "one"
    assert name_at(tmp_path / "b/../a", bound) == "one"
    (tmp_path / "deep").symlink_to(tmp_path / "a/sub")
    assert name_at(tmp_path / "deep", bound) == "one"


def test_the_innermost_counts(tmp_path: Path) -> None:
    rows = (row(tmp_path / "a"), row(tmp_path / "a/b/c", "two"))
    assert [name_at(tmp_path / each, *rows) for each in ("a/b", "a/b/c", "a/b/c/d")] == [
        "one",
        "two",
        "two",
    ]


def test_a_renamed_directory_and_one_in_its_place_are_bound(tmp_path: Path) -> None:
    bound = row(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "moved")
    assert name_at(tmp_path / "moved/x", bound) == "one"
    (tmp_path / "a").mkdir()
    assert name_at(tmp_path / "a", bound) == "one"


def worktree(main: Path, tree: Path) -> None:
    """Make a linked worktree as git lays it out."""
    private = main / ".git/worktrees" / tree.name
    private.mkdir(parents=True)
    (private / "commondir").write_text("../..\n")
    tree.mkdir()
    (tree / ".git").write_text(f"gitdir: {private}\n")


def test_a_worktree_is_bound_as_its_repository(tmp_path: Path) -> None:
    worktree(tmp_path / "main", tmp_path / "tree")
    repository = identify(tmp_path / "main/.git")
    whole = row(tmp_path / "main", repository=repository)
    part = row(tmp_path / "main/part", "two", repository=repository, inside="part")
    assert name_at(tmp_path / "tree/x", whole, part) == "one"
    assert name_at(tmp_path / "tree/part/x", whole, part) == "two"
    assert name_at(tmp_path / "tree/x", part) is None
    tree = row(tmp_path / "tree", "three")
    assert name_at(tmp_path / "tree/x", whole, part, tree) == "three"
    assert name_at(tmp_path / "tree/part", whole, part, tree) == "two"


def test_of_two_bound_checkouts_the_main_one_speaks_for_a_third(tmp_path: Path) -> None:
    worktree(tmp_path / "main", tmp_path / "tree")
    worktree(tmp_path / "main", tmp_path / "third")
    repository = identify(tmp_path / "main/.git")
    whole = row(tmp_path / "main", repository=repository)
    tree = row(tmp_path / "tree", "two", repository=repository)
    for rows in ((whole, tree), (tree, whole)):
        found = [name_at(tmp_path / each, *rows) for each in ("main", "tree", "third/x")]
        assert found == ["one", "two", "one"]


def test_a_submodule_in_a_bound_part_of_a_bound_repository_is_of_that_part(tmp_path: Path) -> None:
    main = tmp_path / "main"
    (main / ".git/modules/x").mkdir(parents=True)
    for place in ("libs/x", "x"):
        (main / place).mkdir(parents=True)
        (main / place / ".git").write_text(f"gitdir: {main}/.git/modules/x\n")
    repository = identify(main / ".git")
    whole = row(main, repository=repository)
    part = row(main / "libs", "two", repository=repository, inside="libs")
    found = [name_at(main / each, whole, part) for each in ("x/y", "libs", "libs/x", "libs/x/y")]
    assert found == ["one", "two", "two", "two"]


def test_the_guard_is_known_among_hooks_wherever_it_is_installed() -> None:
    for folder in ("/opt/bin", "/home/u/Application Support/bin", "/it's/bin"):
        program = Path(folder, "mahavishnu-guard")
        found = guard_lines("codex", program, Path("/a state/ai/directories.json"))
        assert all(is_ours(command) for _, command in found)
    assert not any(map(is_ours, (None, "logger mahavishnu-guard ran", "x --directories y", "'")))


def test_a_worktree_of_a_repository_that_was_moved_is_bound_still(tmp_path: Path) -> None:
    worktree(tmp_path / "main", tmp_path / "tree")
    whole = row(tmp_path / "main", repository=identify(tmp_path / "main/.git"))
    (tmp_path / "main").rename(tmp_path / "moved")
    assert name_at(tmp_path / "tree", whole) == name_at(tmp_path / "moved", whole) == "one"


def test_a_checkout_that_cannot_be_told_is_no_unbound_one(tmp_path: Path) -> None:
    whole = row(tmp_path / "main", repository=FolderIdentity("/x/.git", 1, 1))
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd/.git").write_text("something else")
    with pytest.raises(Unresolved):
        name_at(tmp_path / "odd", whole)
    assert name_at(tmp_path / "odd", row(tmp_path / "other")) is None


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(texts, texts, st.integers(0, 2**63), st.booleans())
def test_what_is_written_is_read_again(name: str, inside: str, inode: int, damaged: bool) -> None:
    import tempfile

    bound = Binding(
        name, FolderIdentity("/a", 1, inode), EXPECTED, "now", FolderIdentity("/r", 2, 3), inside, "/h", "e",
        "/a/s", "true",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "directories.json")
        wanted = Bindings((bound, bound._replace(repository=None)), ("/made",))
        copy_of(path).write_bytes(render(wanted))
        path.write_bytes(b"{" if damaged else render(wanted))
        assert read_bindings(path) == wanted._replace(damaged=damaged)


def test_no_list_is_nothing_bound_and_a_damaged_one_never_is(tmp_path: Path) -> None:
    path = path_in(tmp_path)
    path.parent.mkdir()
    assert read_bindings(path) == Bindings(())
    good = json.loads(render(Bindings((row(tmp_path / "a"),))))
    damaged = [
        b"",
        b"[]",
        b"{}",
        b'{"version": 2, "directories": [], "made": []}',
        b"\xff",
        b"[" * 9999,
    ]
    for member in good["directories"][0]:
        damaged.append(
            json.dumps(good | {"directories": [good["directories"][0] | {member: 7}]}).encode()
        )
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(Unreadable):
            read_bindings(path)


@pytest.mark.parametrize("system", ["linux", "darwin"])
@pytest.mark.parametrize(
    "environ",
    [
        {"HOME": "/h"},
        {"HOME": "/h", "XDG_STATE_HOME": "/s"},
        {"HOME": "/h", "MAHAVISHNU_HOME": "/m"},
    ],
)
def test_the_state_is_where_the_settings_say(
    environ: dict[str, str], system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if system == "linux":
        for name in ("XDG_STATE_HOME", "MAHAVISHNU_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        assert state_folder(environ) == locate(environ).state
    else:
        monkeypatch.setattr("sys.platform", "darwin")
        assert state_folder({"HOME": "/h"}) == Path("/h/Library/Application Support/mahavishnu")


class Home:
    """A home with one bound directory, and what the guard says of sessions in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file = path_in(root / "state")
        self.file.parent.mkdir(parents=True)
        self.bound = root / "bound"
        self.current = EXPECTED
        self.write(row(self.bound))

    def write(self, *rows: Binding) -> None:
        for each in (self.file, copy_of(self.file)):
            each.write_bytes(render(Bindings(rows)))

    def ask(
        self,
        client: str = "claude-code",
        environ: Mapping[str, str] | None = None,
        *,
        folder: Path | None = None,
        process: int = 0,
        **said: Any,
    ) -> str | None:
        event = {"hook_event_name": "UserPromptSubmit", "cwd": str(folder or self.bound), **said}
        whole = {"HOME": str(self.root), **(environ or {})}
        seen = HookCall(client, event, whole, process, "/")
        return judge(seen, self.file, lambda _: self.current)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


RIGHT = {"ANTHROPIC_BASE_URL": URL, "ANTHROPIC_AUTH_TOKEN": "", "ANTHROPIC_API_KEY": ""}
LINE = helper_line(helper_words(ONE.key, bound=URL, client="claude-code", program=HELPER))  # type: ignore[arg-type]


def settings(
    home: Home, values: dict[str, Any], where: str = "bound/.claude/settings.local.json"
) -> None:
    path = home.root / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))


def test_claude_goes_on_with_the_profile_and_nothing_else(home: Home) -> None:
    settings(home, {"apiKeyHelper": LINE})
    assert home.ask(environ=RIGHT) is None
    assert home.ask(environ=RIGHT | {"ANTHROPIC_BASE_URL": f"{URL}/"}) is None
    for wrong in (
        {"ANTHROPIC_BASE_URL": "https://two.example/anthropic"},
        {"ANTHROPIC_BASE_URL": ""},
        {"ANTHROPIC_AUTH_TOKEN": "sk-other"},
        {"ANTHROPIC_API_KEY": "sk-other"},
        {"ANTHROPIC_CUSTOM_HEADERS": "X: y"},
        {"ANTHROPIC_UNIX_SOCKET": "/s"},
        {"CLAUDE_CODE_USE_VERTEX": "1"},
    ):
        said = home.ask(environ=RIGHT | wrong)
        assert said is not None and "mahavishnu ai run one -- claude" in said
        assert "sk-other" not in said
    assert home.ask(environ={}) is not None


def test_a_key_of_another_customer_of_the_same_provider_is_none_of_the_profile(home: Home) -> None:
    other = helper_words(TWO.key, bound=URL, client="claude-code", program=HELPER)  # type: ignore[arg-type]
    for line in (
        helper_line(other),
        "echo key",
        "",
        LINE.replace("one.example", "two.example"),
        "'",
    ):
        settings(home, {"apiKeyHelper": line})
        assert home.ask(environ=RIGHT) is not None, line
    settings(home, {"apiKeyHelper": f"ANTHROPIC_BASE_URL=https://one.example {LINE}"})
    assert home.ask(environ=RIGHT) is None
    settings(home, {"apiKeyHelper": "echo key"}, "bound/.claude/settings.json")
    assert home.ask(environ=RIGHT) is not None


def test_settings_that_cannot_be_read_are_a_no(home: Home) -> None:
    settings(home, {})
    (home.bound / ".claude/settings.local.json").write_text("{")
    assert home.ask(environ=RIGHT) is not None


def test_a_session_is_judged_by_every_folder_that_it_has_to_do_with(home: Home) -> None:
    outside = home.root / "outside"
    outside.mkdir()
    (outside / "link").symlink_to(home.bound)
    transcript = outside / "t.jsonl"
    transcript.write_text('{"type": "x"}\n{"cwd": ' + json.dumps(str(home.bound)) + "}\n")
    wrong = {"ANTHROPIC_BASE_URL": "https://two.example/anthropic"}
    assert home.ask(environ=wrong, folder=outside) is None
    touching: list[dict[str, Any]] = [
        {"prompt": "see @link/file"},
        {"prompt": 'see @"link/a b"'},
        {"prompt": "see @~/bound/x"},
        {"prompt": "see @link, and (@../bound)."},
        {"tool_input": {"file_path": str(home.bound / "x")}},
        {"tool_calls": [{"tool_input": {"path": "link"}}]},
        {"tool_calls": [{"tool_input": {"command": f"cat {home.bound}/x"}}]},
        {"tool_input": {"command": f"cp -t{home.bound} x"}},
        {"tool_input": {"command": "cat <~/bound/x"}},
        {"tool_input": {"paths": [f"{home.bound}/x"]}},
        {"tool_input": {"pattern": f"{home.bound}/**/*.py"}},
        {"transcript_path": str(transcript)},
    ]
    for said in touching:
        assert home.ask(environ=wrong, folder=outside, **said) is not None, said
    for command in (
        f"cat {home.bound}ary/x {home.bound}-2 {home.bound}.txt",
        "cat ../bound/x link/x",
    ):
        elsewhere = {"tool_calls": [{"tool_input": {"command": command, "x": "/"}}]}
        assert home.ask(environ=wrong, folder=outside, **elsewhere) is None, command
    home.write(row(home.bound, repository=FolderIdentity("/x/.git", 1, 1)))
    for path in (f"/{'a' * 300}/b", "/x\0"):
        odd = {"tool_input": {"x": path}}
        assert home.ask(environ=wrong, folder=outside, **odd) is None, path
    project = wrong | {"CLAUDE_PROJECT_DIR": str(home.bound)}
    assert home.ask(environ=project, folder=outside) is not None


def test_a_profile_that_was_changed_or_is_gone_is_a_no(home: Home) -> None:
    settings(home, {"apiKeyHelper": LINE})
    home.current = expected_of(TWO, helper=HELPER)
    said = home.ask(environ=RIGHT)
    assert said is not None and "mahavishnu ai bind one" in said
    assert home.ask(environ=RIGHT, hook_event_name="PostToolBatch") is None  # asked at the prompt

    def gone(_: Binding) -> Any:
        raise NotFound("gone")

    seen = HookCall(
        "claude-code", {"cwd": str(home.bound), "hook_event_name": "SessionStart"}, RIGHT, 0, "/"
    )
    with pytest.raises(NotFound):
        judge(seen, home.file, gone)


def test_without_a_readable_list_nobody_goes_on_anywhere(home: Home) -> None:
    home.file.unlink()
    assert home.ask(environ=RIGHT, folder=home.root) is None
    copy_of(home.file).write_text("{")
    assert home.ask(environ=RIGHT, folder=home.root) is not None
    copy_of(home.file).unlink()
    said = home.ask(environ=RIGHT, folder=home.root)
    assert said is not None and "mahavishnu ai unbind --all" in said


def test_a_client_that_the_profile_is_not_for_is_stopped(home: Home) -> None:
    only = {"codex": EXPECTED["codex"]}
    home.write(row(home.bound)._replace(clients=only))
    assert home.ask(environ=RIGHT) is not None


def test_the_clients_own_sign_in_can_be_bound(home: Home) -> None:
    home.current = expected_of(CLAUDE, helper=HELPER)
    home.write(row(home.bound)._replace(clients=home.current))
    assert home.ask() is None
    assert home.ask(environ={"ANTHROPIC_BASE_URL": URL}) is not None
    settings(home, {"apiKeyHelper": LINE})
    assert home.ask() is not None


def identity(url: str, kind: str = "openai") -> dict[str, str]:
    digest = hashlib.sha256(f"{kind}\0{url}".encode()).hexdigest()[:8]
    return {"QWEN_CODE_MODEL": "one-large", "QWEN_CODE_MODEL_IDENTITY": f"one-large@{digest}"}


def element(url: str = CHAT, variable: str = "ONE_KEY", **more: str) -> dict[str, Any]:
    each = {"id": "one-large", "baseUrl": url, "envKey": variable, **more}
    return {"modelProviders": {"openai": [each]}}


def test_qwen_goes_on_with_the_profile_and_nothing_else(home: Home) -> None:
    settings(home, element(), ".qwen/settings.json")
    assert home.ask("qwen", identity(CHAT)) is None
    assert home.ask("qwen", identity("https://two.example/v1")) is not None
    assert home.ask("qwen", identity(CHAT, "anthropic")) is not None
    assert home.ask("qwen", {}) is not None
    assert home.ask("qwen", {"QWEN_CODE_MODEL_IDENTITY": "one-large"}) is not None
    settings(home, element(variable="TWO_KEY"), "bound/.qwen/settings.json")
    assert home.ask("qwen", identity(CHAT)) is not None
    settings(home, {"fastModel": "other"}, "bound/.qwen/settings.json")
    assert home.ask("qwen", identity(CHAT)) is not None
    (home.bound / ".qwen/settings.json").write_text("{")
    assert home.ask("qwen", identity(CHAT)) is not None


def test_qwen_is_believed_where_it_was_started_on_the_profile(home: Home) -> None:
    started = identity(CHAT) | {"MAHAVISHNU_AI_PROFILE": "one"}
    assert home.ask("qwen", started) is None
    assert home.ask("qwen", started | {"MAHAVISHNU_AI_PROFILE": "two"}) is not None
    assert home.ask("qwen", started | identity("https://two.example/v1")) is not None


def route(
    home: Home, client: str, *profiles: str, url: str = "http://127.0.0.1:8681/anthropic"
) -> str:
    """Let a client go through the gateway; return the reference of its token."""
    path = routes_in(home.root / "state")
    path.parent.mkdir(parents=True, exist_ok=True)
    chain = [{"profile": name, "models": "*", "directory": ""} for name in profiles]
    path.write_text(json.dumps({client: {"chain": chain, "pinned": True, "url": url}}))
    return f"gateway:{tokens_in(home.root / 'state') / client}"


def test_through_the_gateway_the_route_is_judged(home: Home) -> None:
    url = "http://127.0.0.1:8681/anthropic"
    reference = parse_reference(route(home, "claude-code", "one"))
    line = helper_line(helper_words(reference, bound=url, client="claude-code", program=HELPER))
    settings(home, {"apiKeyHelper": line})
    routed = RIGHT | {"ANTHROPIC_BASE_URL": url}
    assert home.ask(environ=routed) is None
    assert home.ask(environ=routed | {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}) is not None
    assert home.ask(environ=RIGHT) is not None  # the token is none of the profile's own address
    for profiles in (("two",), ("one", "two"), ("two", "one")):
        route(home, "claude-code", *profiles)
        said = home.ask(environ=routed)
        assert (
            said is not None
            and f"the gateway takes its requests to {' or '.join(profiles)}" in said
        )
    routes_in(home.root / "state").write_text("{")
    assert home.ask(environ=routed) is not None


def test_qwen_through_the_gateway_is_judged_by_its_route(home: Home) -> None:
    url = "http://127.0.0.1:8681/openai"
    settings(home, element(url, "MAHAVISHNU_KEY_GATEWAY"), ".qwen/settings.json")
    assert home.ask("qwen", identity(url)) is not None
    route(home, "qwen", "one", url=url)
    assert home.ask("qwen", identity(url)) is None
    route(home, "qwen", "two", url=url)
    assert home.ask("qwen", identity(url)) is not None


@pytest.mark.leak
def test_a_token_leaves_in_a_bound_directory_only_for_a_route_to_its_profile(home: Home) -> None:
    url = "http://127.0.0.1:8681"
    for profiles, free in ((("one",), True), (("two",), False), (("one", "two"), False)):
        reference = parse_reference(route(home, "claude-code", *profiles))
        asked = read_words([str(reference), "--for", url])
        require_bound_profile(asked, home.file, home.root, process=0)
        with nullcontext() if free else pytest.raises(Forbidden, match="bound to the profile one"):
            require_bound_profile(asked, home.file, home.bound, process=0)


class Codex:
    """Codex in the bound directory, with a process whose words can be seen."""

    def __init__(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.patch = home, monkeypatch
        self.config = home.root / ".codex/config.toml"
        self.config.parent.mkdir()
        self.switch("one")
        self.transcript = home.root / "rollout.jsonl"
        self.open()

    def switch(self, name: str, *, age_s: float = 60) -> None:
        profile = {"one": ONE, "two": TWO}[name]
        url = profile.endpoints["openai-responses"]
        words = helper_words(profile.key, bound=url, client="codex", program=HELPER)  # type: ignore[arg-type]
        self.provider = (
            f'{{name = "Mahavishnu: {name}", base_url = "{url}", auth = {{command = "{words[0]}",'
            f" args = {json.dumps(words[1:])}}}}}"
        )
        self.config.write_text(
            f'model_provider = "mahavishnu"\n[model_providers]\nmahavishnu = {self.provider}\n'
        )
        then = time.time() - age_s
        os.utime(self.config, (then, then))

    def open(self, *, provider: str = "mahavishnu") -> None:
        payload = {
            "model_provider": provider,
            "timestamp": datetime.now(UTC).isoformat(),
            "cwd": "/",
        }
        self.transcript.write_text(json.dumps({"type": "session_meta", "payload": payload}) + "\n")

    def ask(self, *words: str, event: str = "UserPromptSubmit", source: str = "") -> str | None:
        self.patch.setattr(HookCall, "words", lambda _: list(words) or None)
        return self.home.ask(
            "codex", hook_event_name=event, source=source, session_id="t",
            transcript_path=str(self.transcript),
        )  # fmt: skip


@pytest.fixture
def codex(home: Home, monkeypatch: pytest.MonkeyPatch) -> Codex:
    return Codex(home, monkeypatch)


def test_codex_goes_on_with_the_profile_and_nothing_else(codex: Codex) -> None:
    assert codex.ask("codex", "exec", "x") is None
    other = codex.provider.replace("one.example", "two.example")
    for words in (
        ("-c", f"model_providers.mahavishnu={other}"),
        ("-cmodel_provider=other",),
        ("--config=model_provider=other",),
        ("-c", "model_provider=openai"),
        ("-c", 'model_providers.mahavishnu.base_url="https://two.example/v1"'),
        ("-c", "model_providers.mahavishnu.auth.args=['env:TWO_KEY']"),
        ("--oss",),
        ("--local-provider=ollama",),
    ):
        assert codex.ask("codex", "exec", *words, "x") is not None, words
    assert codex.ask("codex", "exec", "--", "-c", "model_provider=other") is None
    (codex.config.parent / "b.config.toml").write_text('model_provider = "other"\n')
    for words in (("-p", "b"), ("-pb",), ("--profile", "b"), ("--profile=b",)):
        assert codex.ask("codex", "exec", *words, "x") is not None, words
    codex.config.write_text("x = [")
    assert codex.ask("codex", "exec", "x") is not None


def test_codex_that_was_given_all_goes_by_no_file(codex: Codex) -> None:
    words = (
        "codex", "-c", 'model_provider="mahavishnu-run"',
        "-c", f"model_providers.mahavishnu-run={codex.provider}",
    )  # fmt: skip
    codex.open(provider="mahavishnu-run")
    codex.switch("two", age_s=0)
    assert codex.ask(*words) is None
    assert codex.ask("codex") is not None


def test_a_thread_of_the_server_has_to_be_seen_from_its_beginning(codex: Codex) -> None:
    server = ("codex", "app-server", "--listen", "unix://")
    assert codex.ask(*server) is not None
    assert codex.ask(*server, event="SessionStart", source="startup") is None
    assert codex.ask(*server) is None
    assert codex.ask(*server, event="SessionStart", source="compact") is None
    codex.switch("two")
    assert codex.ask(*server) is not None  # its title would be asked for there
    codex.switch("one")
    assert codex.ask(*server) is None
    assert codex.ask(*server, event="SessionStart", source="resume") is not None
    assert codex.ask(*server) is not None


def test_settings_that_were_written_since_a_thread_was_opened_tell_nothing(codex: Codex) -> None:
    server = ("codex", "app-server")
    codex.open()
    codex.switch("one", age_s=-60)
    assert codex.ask(*server, event="SessionStart", source="startup") is not None
    assert codex.ask(*server) is not None
    codex.open()
    codex.switch("one", age_s=-2)  # Codex itself does that while it starts
    assert codex.ask(*server, event="SessionStart", source="startup") is None
    now = datetime.now(UTC).isoformat(timespec="seconds")
    (codex.home.file.parent / "journal.jsonl").write_text(f'{{"line":"intent","at":"{now}"}}\n')
    assert codex.ask(*server, event="SessionStart", source="startup") is not None
    codex.switch("one")
    codex.open(provider="other")
    assert codex.ask(*server, event="SessionStart", source="startup") is not None


def test_codex_own_sign_in_can_be_bound(codex: Codex) -> None:
    codex.home.current = expected_of(CODEX, helper=HELPER)
    codex.home.write(row(codex.home.bound)._replace(clients=codex.home.current))
    assert codex.ask("codex", "exec", "x") is not None
    codex.open(provider="openai")
    codex.config.write_text("")
    assert codex.ask("codex", "exec", "x") is None
    codex.config.write_text('openai_base_url = "https://two.example/v1"\n')
    assert codex.ask("codex", "exec", "x") is not None


@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_the_words_of_a_client_are_found_behind_a_shell(
    system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil  # before it can be mistaken about the system

    assert psutil.pid_exists(os.getpid())
    monkeypatch.setattr("sys.platform", system)
    own = read_words_of(os.getpid())
    assert own is not None and "pytest" in " ".join(own)
    with subprocess.Popen(
        ["sh", "-c", "echo; read x; true"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as shell:
        assert shell.stdout is not None and shell.stdout.readline()
        assert read_words_of(shell.pid) == own
        shell.communicate(b"\n")
    assert read_words_of(shell.pid) is read_words_of(0) is None


@pytest.mark.leak
def test_no_key_leaves_but_that_of_the_profile(home: Home) -> None:
    asked = read_words(LINE.split()[1:])
    require_bound_profile(asked, home.file, home.bound / "sub", process=0)
    require_bound_profile(
        asked._replace(bound="https://x.example"), home.file, home.root, process=0
    )
    other = asked.reference._replace(place="TWO_KEY")
    for wrong in (
        asked._replace(reference=other),
        asked._replace(bound="https://two.example"),
        asked._replace(client="other"),
    ):
        with pytest.raises(Forbidden, match="bound to the profile one"):
            require_bound_profile(wrong, home.file, home.bound, process=0)
    home.file.write_text("{")
    copy_of(home.file).write_text("{")
    with pytest.raises(Forbidden, match="cannot tell"):
        require_bound_profile(asked, home.file, home.root, process=0)


def test_the_server_of_codex_is_not_judged_by_where_it_was_started(home: Home) -> None:
    asked = read_words(LINE.split()[1:])._replace(client="codex")
    other = asked._replace(reference=asked.reference._replace(place="TWO_KEY"))
    line = [sys.executable, "-c", "print(flush=True); input()", "app-server"]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None and server.stdout.readline()
        require_bound_profile(other, home.file, home.bound, process=server.pid)
        claude = other._replace(client="claude-code")
        with pytest.raises(Forbidden):
            require_bound_profile(claude, home.file, home.bound, process=server.pid)
        server.communicate(b"\n")
