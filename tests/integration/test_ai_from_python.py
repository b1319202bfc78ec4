"""The AI environments from Python: what MCP and HTTP answer, in the folder and with the settings of the caller."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mahavishnu import ai
from mahavishnu.app import App
from mahavishnu.base.errors import Corrupt, Forbidden, MahavishnuError, NotFound, UsageError
from mahavishnu.base.settings.sources import Loaded, load_settings
from mahavishnu.operations.ai.site import open_site
from mahavishnu.operations.operation import Call
from mahavishnu.operations.table import OPERATIONS
from tests.support.ai_sessions import running
from tests.support.switching import everything, install

BY_NAME = {operation.name: operation for operation in OPERATIONS}
SOON = 0.05  # s; a settings file's time and that of a session are told apart by it


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    install(tmp_path, claude_code='{"theme": "dark"}\n', codex="", qwen="{}\n")
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    keys = {"ZAI_API_KEY": "sk-canary-zai-51", "QWEN_API_KEY": "sk-canary-qwen-52"}
    own = str(tmp_path / "mahavishnu")
    return load_settings(
        environ={"HOME": str(tmp_path), "PATH": "", "MAHAVISHNU_HOME": own, **keys}
    )


async def test_python_gets_what_other_interfaces_get(loaded: Loaded, tmp_path: Path) -> None:
    call = Call(cast(App, SimpleNamespace(loaded=loaded)), "tests")

    async def other(name: str, /, **values: Any) -> Any:
        operation = BY_NAME[name]
        return await operation.run(call, operation.parse(values))

    before = everything(tmp_path)
    plan = await ai.switch_llm("zai", loaded=loaded)
    assert plan == await other("switch_llm", name="zai") and not plan.confirmed
    assert everything(tmp_path) == before
    done = await ai.switch_llm("zai", clients=("codex",), confirm=True, loaded=loaded)
    assert [each.client for each in done.clients] == ["codex"] and done.id is not None
    assert await ai.list_llms(loaded=loaded) == await other("list_llms")
    state = await ai.status(loaded=loaded)
    assert state == await other("llm_status")
    assert {each.client: each.profile for each in state.clients} == {
        "claude-code": "claude", "codex": "zai", "qwen": None,
    }  # fmt: skip
    assert await ai.undo(done.id, loaded=loaded) == await other("undo_switch", id=str(done.id))
    assert (await ai.undo(str(done.id)[-8:], confirm=True, loaded=loaded)).clients == ["codex"]
    assert (tmp_path / ".codex/config.toml").read_text() == ""


@pytest.mark.parametrize(
    ("work", "kind", "code"),
    [
        (lambda loaded: ai.switch_llm("zay", loaded=loaded), NotFound, "ai.unknown_profile"),
        (lambda loaded: ai.switch_llm("deepseek", loaded=loaded), NotFound, "secret.missing"),
        (
            lambda loaded: ai.switch_llm("zai", clients=cast(Any, ["claude"]), loaded=loaded),
            UsageError,
            "input.invalid",
        ),
        (lambda loaded: ai.undo("deadbeef", loaded=loaded), NotFound, "ai.no_switch"),
        (lambda loaded: ai.undo("abc", loaded=loaded), UsageError, "input.id"),
        (lambda loaded: ai.undo(cast(Any, None), loaded=loaded), UsageError, "input.invalid"),
        (lambda loaded: ai.restart(["deadbeef"], loaded=loaded), NotFound, "ai.no_session"),
        (lambda _: ai.status(loaded=cast(Any, 3)), UsageError, "input.invalid"),
        (lambda _: ai.list_llms(loaded=cast(Any, {})), UsageError, "input.invalid"),
        (lambda loaded: ai.restart(timeout_s=0, loaded=loaded), UsageError, "input.invalid"),
    ],
)
async def test_a_wrong_call_has_the_code_of_the_other_interfaces(
    loaded: Loaded, work: Any, kind: type[MahavishnuError], code: str
) -> None:
    with pytest.raises(kind) as caught:
        await work(loaded)
    assert caught.value.code == code and caught.value.hint


async def test_broken_settings_and_profiles_are_named_and_stop_no_other(
    loaded: Loaded, tmp_path: Path
) -> None:
    (tmp_path / ".claude/settings.json").write_text('{"theme": ')
    claude, codex, _ = (await ai.status(loaded=loaded)).clients
    assert "settings.json" in str(claude.problem) and codex.problem is None
    with pytest.raises(Corrupt):
        await ai.switch_llm("zai", confirm=True, loaded=loaded)
    plain = '{"env": {"ANTHROPIC_AUTH_TOKEN": "sk-canary-of-mine-77"}}'
    (tmp_path / ".claude/settings.json").write_text(plain)
    with pytest.raises(Forbidden) as forbidden:
        await ai.switch_llm("zai", loaded=loaded)
    assert "--forget-keys" in str(forbidden.value.hint)
    assert "mahavishnu ai switch-llm zai" in str(forbidden.value.hint)
    (tmp_path / ".codex").rename(tmp_path / "away")
    with pytest.raises(NotFound) as caught:
        await ai.switch_llm("zai", clients=["codex"], confirm=True, loaded=loaded)
    assert caught.value.code == "ai.client_missing"
    settings = {"ai_environments.llm_profiles.mine.anthropic_base_url": "no address"}
    own = load_settings(environ=loaded.environ, flags=settings)
    listed = await ai.list_llms(loaded=own)
    assert "zai" in {each.name for each in listed.profiles}
    assert any("mine" in note for note in listed.notes)


async def test_settings_of_the_project_that_is_worked_in_count(
    loaded: Loaded, tmp_path: Path
) -> None:
    local = tmp_path / "project/.claude/settings.local.json"
    local.parent.mkdir()
    local.write_text('{"env": {"ANTHROPIC_BASE_URL": "https://other.example"}}')
    claude = [e for e in (await ai.status(loaded=loaded)).clients if e.client == "claude-code"]
    assert [(each.scope, each.use) for each in claude] == [
        ("user", "profile"), ("project", "other"),
    ]  # fmt: skip


async def test_a_working_folder_that_was_removed_is_named(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(NotFound) as caught:
        await ai.status()
    assert caught.value.code == "settings.no_working_folder"


async def test_waiting_for_a_file_does_not_block_the_event_loop(loaded: Loaded) -> None:
    with open_site(loaded).journal.held():
        switch = asyncio.create_task(ai.switch_llm("zai", confirm=True, loaded=loaded))
        await asyncio.wait({switch}, timeout=SOON)
        assert not switch.done()
    assert (await switch).confirmed


async def test_a_restart_says_of_each_session_what_became_of_it(
    loaded: Loaded, tmp_path: Path
) -> None:
    assert (await ai.restart(loaded=loaded)).sessions == []
    with running(tmp_path, "qwen", "--yolo", model="x") as session:
        await asyncio.sleep(SOON)
        await ai.switch_llm("zai", clients=["qwen"], confirm=True, loaded=loaded)
        [found] = (await ai.list_sessions(loaded=loaded)).sessions
        assert (found.id, found.needs) == (session.id, "restart")
        [left] = (await ai.restart(loaded=loaded)).sessions
        assert left.outcome == "left" and "terminal" in left.reason
        assert f"qwen --yolo --resume {session.id}" in left.resume and left.now is None
        assert session.process.poll() is None
        [stopped] = (await ai.restart([str(session.pid)], loaded=loaded)).sessions
        assert stopped.outcome == "stopped" and session.process.poll() is not None
