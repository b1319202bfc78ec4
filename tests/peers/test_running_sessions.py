"""What a switch does to sessions of the real clients that run in a terminal, and how they are brought along."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import PROGRAM
from tests.support.peers.live import (
    NOTICED_S,
    READY,
    asks,
    began,
    end,
    idle,
    living,
    only,
    say,
    sessions,
    switch,
)
from tests.support.peers.observed import page as page
from tests.support.peers.observed import saw
from tests.support.peers.provider_stub import Use
from tests.support.peers.pseudo_terminal import until
from tests.support.peers.switched import KEYS, Household, write
from tests.support.peers.tmux import Tmux, tmux

pytestmark = pytest.mark.peer

CLAUDE, CODEX, QWEN = "Claude Code", "Codex", "Qwen Code"


@pytest.fixture
def household(tmp_path: Path) -> Iterator[Household]:
    with living(tmp_path) as household:
        yield household


@pytest.fixture
def panes(household: Household) -> Iterator[Tmux]:
    with tmux(household.home / "bin", household.project, household.environ) as running:
        yield running


@pytest.mark.verifies("Claude Code, sessions and restart")
def test_claude_code(household: Household, panes: Tmux) -> None:
    own = json.loads((household.home / ".claude/settings.json").read_text())
    switch(household, "one", "claude-code")
    # From a shell that goes on when the session has ended; with options that have to come back.
    pane = panes.open("sh")
    pane.ask(f"{household.home}/bin/claude --permission-mode plan")
    assert began(household, "claude-code") and pane.shows("plan mode")
    assert asks(household, pane, "one") == "one-large"
    assert idle(household, "claude-code")
    found = only(household, "claude-code")
    assert (found["profile"], found["model"], found["needs"]) == ("one", "one-large", "nothing")

    told = switch(household, "two", "claude-code")["sessions"]
    assert [(each["outcome"], each["needs"]) for each in told] == [("left", "restart")]
    time.sleep(NOTICED_S)
    assert asks(household, pane, "two", before="one") == "one-large"
    saw(CLAUDE, "address and key", "live: the next request after 2.5 s goes there")
    saw(CLAUDE, "the model of a profile", "stays, now asked of the new address: needs a restart")
    assert idle(household, "claude-code")
    found = only(household, "claude-code")
    assert (found["profile"], found["model"], found["needs"]) == ("two", "one-large", "restart")

    # An answer on its way is finished where it was asked.
    stub = household.providers.stubs["two"]
    household.providers.forget()
    answered = threading.Event()
    stub.watch = lambda: answered.wait(120)
    say(household, pane, lambda: stub.turns)
    assert until(lambda: only(household, "claude-code")["activity"] == "busy", timeout_s=60)
    [busy] = switch(household, "three", "claude-code", "idle")["sessions"]
    assert busy["outcome"] == "left" and "busy" in busy["reason"]
    assert only(household, "claude-code")["profile"] == "two"
    answered.set()
    assert pane.shows("The tool answered") and not household.providers.turns("three")
    saw(
        CLAUDE,
        "an answer that is on its way",
        "comes from the old address; a busy session is not restarted",
    )
    assert idle(household, "claude-code")

    before = only(household, "claude-code")
    answer = household.command("ai", "restart", before["id"][-8:], "--json")
    [done] = answer.json["sessions"]
    assert done["outcome"] == "resumed", (answer, pane.shown)
    assert done["now"]["profile"] == "three" and not done["remaining"]
    assert pane.shows("plan mode")
    after = only(household, "claude-code")
    assert after["id"] == before["id"] and after["pid"] != before["pid"]
    assert asks(household, pane, "three") == "three-large"
    assert only(household, "claude-code")["needs"] == "nothing"
    saw(
        CLAUDE,
        "`ai restart`, and `switch-llm` by default",
        "ended and resumed in its pane of tmux, with its options, on the new model",
    )
    kept = json.loads((household.home / ".claude/settings.json").read_text())
    assert {name: kept[name] for name in own} == own
    end(household, pane, "claude-code")

    switch(household, "one", "claude-code")
    line = after["resume"].partition(" && ")[2]
    pane.ask(f"{household.home}/bin/{line}")
    assert began(household, "claude-code") and pane.shows("plan mode")
    assert asks(household, pane, "one") == "one-large"
    saw(CLAUDE, "`claude --resume` after a switch", "asks the new address for the new model")
    end(household, pane, "claude-code")


def test_a_session_that_switches_itself_is_told_and_goes_on(
    household: Household, panes: Tmux
) -> None:
    write(household.home / ".claude/settings.json", {"permissions": {"allow": ["Bash"]}})
    switch(household, "one", "claude-code")
    pane = panes.open(household.home / "bin/claude", "--permission-mode", "default")
    assert began(household, "claude-code") and pane.shows(READY["claude-code"])
    before = only(household, "claude-code")
    said = household.home / "said.json"
    words = ("ai", "switch-llm", "two", "--client", "claude-code", "--restart", "all", "--json")
    line = f"{PROGRAM} {' '.join(words)} > {said}.new && mv {said}.new {said}"
    household.providers.stubs["one"].script = [Use("Bash", {"command": line, "description": "x"})]
    say(household, pane, lambda: household.providers.turns("one"), "Switch to two.")
    assert until(said.exists, timeout_s=60), pane.shown
    [told] = json.loads(said.read_text())["sessions"]
    assert told["here"] and told["outcome"] == "left" and "called from it" in told["reason"]
    assert only(household, "claude-code")["pid"] == before["pid"]
    household.providers.forget()
    end(household, pane, "claude-code")


def test_claude_code_whose_model_is_its_own_choice(household: Household, panes: Tmux) -> None:
    path = household.home / ".claude/settings.json"
    mine = {"env": {"ANTHROPIC_BASE_URL": household.providers.urls["one"]}}
    mine["env"]["ANTHROPIC_AUTH_TOKEN"] = KEYS["ONE_KEY"]
    write(path, mine)
    pane = panes.open(household.home / "bin/claude")
    assert began(household, "claude-code") and pane.shows(READY["claude-code"])
    assert asks(household, pane, "one").startswith("claude-")
    assert only(household, "claude-code")["model_reach"] == "live"
    answer = household.command(
        "ai", "switch-llm", "two", "--client", "claude-code", "--forget-keys", "--json"
    )
    assert answer.json["sessions"] == [], answer
    time.sleep(NOTICED_S)
    assert asks(household, pane, "two", before="one") == "two-large"
    assert idle(household, "claude-code")
    assert only(household, "claude-code")["needs"] == "nothing"
    saw(CLAUDE, "the model, where it was the client's own choice", "live, with the rest")
    end(household, pane, "claude-code")


@pytest.mark.verifies("Codex, sessions and restart")
def test_codex(household: Household, panes: Tmux) -> None:
    switch(household, "one", "codex")
    pane = panes.open(household.home / "bin/codex")
    assert pane.shows(READY["codex"])
    time.sleep(1)
    assert asks(household, pane, "one") == "one-large"
    assert idle(household, "codex")
    found = only(household, "codex")
    assert (found["profile"], found["needs"]) == ("one", "nothing") and found["shared_process"]

    [told] = switch(household, "two", "codex", "idle")["sessions"]
    assert (told["outcome"], told["needs"]) == ("left", "thread")
    assert told["resume"].endswith(f"codex resume {found['id']} -m two-large")
    assert asks(household, pane, "one") == "one-large"
    saw(CODEX, "an open thread", "stays with the provider that it was opened on, key and model too")
    assert only(household, "codex")["profile"] == "one"

    assert idle(household, "codex")
    pane.ask("/new")
    time.sleep(2)
    assert asks(household, pane, "two") == "two-large"
    new = next(each for each in sessions(household) if each["id"] != found["id"])
    assert (new["profile"], new["needs"]) == ("two", "nothing")
    saw(CODEX, "a new thread (`/new`)", "takes the new provider, key and model")

    switch(household, "three", "codex")
    answer = household.command("ai", "restart", new["id"][-8:], "--json")
    [done] = answer.json["sessions"]
    assert done["outcome"] == "resumed", answer
    assert asks(household, pane, "three") == "two-large"
    saw(
        CODEX,
        "`ai restart`: its background server is restarted",
        "its open threads go on in their windows on the new provider, and keep their model",
    )
    pane.leave()

    pane = panes.open(household.home / "bin/codex", "resume", new["id"])
    assert pane.shows(READY["codex"])
    time.sleep(1)
    assert asks(household, pane, "three") == "two-large"
    saw(
        CODEX,
        "`codex resume` after a switch",
        "takes the new provider, and keeps the thread's model",
    )
    pane.leave()
    pane = panes.open(household.home / "bin/codex", "resume", found["id"], "-m", "three-large")
    assert pane.shows(READY["codex"])
    time.sleep(1)
    assert asks(household, pane, "three") == "three-large"
    saw(CODEX, "`codex resume -m` after a switch", "takes the new provider and model")


def test_codex_whose_server_was_started_without_the_key(household: Household, panes: Tmux) -> None:
    switch(household, "one", "codex")
    pane = panes.open("env", "ONE_KEY=", household.home / "bin/codex")
    assert pane.shows(READY["codex"])
    say(household, pane, lambda: household.providers.turns("one"))
    assert began(household, "codex")
    assert until(lambda: only(household, "codex")["activity"] == "idle", timeout_s=60), pane.shown
    found = only(household, "codex")
    assert found["needs"] == "restart" and "ONE_KEY" in found["why"]
    assert all("authorization" not in each.headers for each in household.providers.turns("one"))
    answer = household.command("ai", "restart", "--json")
    [done] = answer.json["sessions"]
    assert done["outcome"] == "resumed", answer
    assert asks(household, pane, "one") == "one-large"
    saw(
        CODEX,
        "a key that was exported later",
        "is not seen by the background server until that is restarted (`ai restart`)",
    )


@pytest.mark.verifies("Qwen Code, sessions and restart")
def test_qwen_code(household: Household, panes: Tmux) -> None:
    switch(household, "one", "qwen")
    # It is what its pane was opened for: tmux would close that with it.
    pane = panes.open(household.home / "bin/qwen", "--approval-mode", "plan")
    assert began(household, "qwen") and pane.shows(READY["qwen"])
    assert asks(household, pane, "one") == "one-large"
    assert idle(household, "qwen")
    found = only(household, "qwen")
    assert (found["profile"], found["model"], found["needs"]) == ("one", "one-large", "nothing")

    switch(household, "two", "qwen")
    time.sleep(NOTICED_S)
    assert asks(household, pane, "one") == "one-large"
    saw(QWEN, "an open session", "stays with address, key and model until it ends")
    assert idle(household, "qwen")
    assert (only(household, "qwen")["profile"], only(household, "qwen")["needs"]) == (
        "one",
        "restart",
    )

    [done] = switch(household, "three", "qwen", "idle")["sessions"]
    assert done["outcome"] == "resumed", (done, pane.shown)
    assert done["now"]["profile"] == "three" and not done["remaining"]
    assert pane.shows(READY["qwen"])
    after = only(household, "qwen")
    assert after["id"] == found["id"] and after["pid"] != found["pid"]
    assert asks(household, pane, "three") == "three-large"
    saw(
        QWEN,
        "`ai restart`, and `switch-llm` by default",
        "ended and resumed in its pane of tmux, with its options, on the new provider, key and model",
    )
    end(household, pane, "qwen")
    switch(household, "one", "qwen")
    pane = panes.open(household.home / "bin/qwen", "--resume", found["id"])
    assert began(household, "qwen") and pane.shows(READY["qwen"])
    assert asks(household, pane, "one") == "one-large"
    saw(QWEN, "`qwen --resume` after a switch", "takes the new provider, key and model")
    end(household, pane, "qwen")
