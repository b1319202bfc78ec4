"""
Running sessions: how long `ai sessions` takes to tell of fifty, and how soon each client asks the new provider.

The second part has the real clients in panes of tmux; where they cannot be had it says so.
"""

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from benchmarks.commands import PRODUCT, RUNS, Command, run_in_turns
from benchmarks.report import Section, most
from benchmarks.world import environment
from mahavishnu.ai.profiles.profile import ClientName
from mahavishnu.base.processes import process_start_time
from tests.support.peers.live import READY, asks, began, living, sessions, switch
from tests.support.peers.pseudo_terminal import until
from tests.support.peers.switched import Household
from tests.support.peers.tmux import Pane, Tmux, tmux

REGISTERED = 50
ROUNDS = 3
_AGAIN_S = 0.5  # after which a prompt is given again that went to the old provider


def measure_sessions(home: Path) -> Iterator[Section]:
    """Measure both parts."""
    yield _measure_listing(home)
    yield _measure_following(home)


def _measure_listing(home: Path) -> Section:
    started = time.monotonic()
    section = Section(f"ai sessions, {REGISTERED} of Claude Code registered")
    empty, full = home / "none", home / "registered"
    words = (*PRODUCT, "ai", "sessions", "--json")
    for each in (empty, full):
        (each / ".claude/sessions").mkdir(parents=True)
    with _registered(full):
        commands = [
            Command("ai sessions, none", words, environment(empty)),
            Command(f"ai sessions, {REGISTERED}", words, environment(full)),
        ]
        runs = run_in_turns(commands)
        listed = json.loads(runs[1][-1].printed)["sessions"]
    assert len(listed) == REGISTERED and all(each["model"] == "m" for each in listed)
    none, some = ([ran.seconds * 1000 for ran in each] for each in runs)
    bare = float(np.median(none))
    section.add("without a session: the imports", median__ms=bare, min__ms=min(none), more__ms=0.0)
    more = float(np.median(some)) - bare
    section.add(
        f"{REGISTERED} sessions", most("more ms", 150), median__ms=float(np.median(some)),
        min__ms=min(some), more__ms=more,
    )  # fmt: skip
    section.notes.append(
        f"Median of {RUNS} runs in turns; each session has a transcript of 300 lines."
    )
    section.seconds = time.monotonic() - started
    return section


@contextlib.contextmanager
def _registered(home: Path) -> Iterator[None]:
    """Register processes that do nothing as sessions of Claude Code, with transcripts."""
    folder = home / "project"
    transcripts = (
        home / ".claude/projects" / "".join(c if c.isalnum() else "-" for c in str(folder))
    )
    transcripts.mkdir(parents=True)
    line = {"type": "assistant", "timestamp": "2100-01-01T00:00:00Z", "message": {"model": "m"}}
    text = (json.dumps({**line, "x": "y" * 800}) + "\n") * 300
    processes = [subprocess.Popen(["sleep", "300"]) for _ in range(REGISTERED)]
    try:
        for number, process in enumerate(processes):
            about = {
                "pid": process.pid, "sessionId": f"s{number}", "cwd": str(folder),
                "procStart": str(process_start_time(process.pid)).rpartition(":")[2],
                "startedAt": int(time.time() * 1000), "status": "idle", "kind": "interactive",
            }  # fmt: skip
            (home / ".claude/sessions" / f"{process.pid}.json").write_text(json.dumps(about))
            (transcripts / f"s{number}.jsonl").write_text(text)
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _measure_following(home: Path) -> Section:
    started = time.monotonic()
    section = Section("From a switch to the first request on the new provider, real clients")
    try:
        with contextlib.ExitStack() as stack:
            (home / "live").mkdir()
            household = stack.enter_context(living(home / "live"))
            panes = stack.enter_context(
                tmux(household.home / "bin", household.project, household.environ)
            )
            for name, seconds in _ways(household, panes):
                section.add(
                    name,
                    median__s=float(np.median(seconds)),
                    min__s=min(seconds),
                    max__s=max(seconds),
                )
    except pytest.skip.Exception as error:
        section.notes.append(f"not measured: {error}")
    section.notes.append(
        f"{ROUNDS} rounds, from the start of `ai switch-llm` (0.4 s of it is the command's own) until the provider"
        " has a request; the prompt is typed as soon as the session can take one, and again while the old"
        " provider answers."
    )
    section.seconds = time.monotonic() - started
    return section


def _first_request(
    household: Household,
    name: str,
    client: ClientName,
    pane: Pane,
    bring: Callable[[], object],
    how: str,
) -> float:
    """Return the seconds from the beginning of a switch until its provider is asked."""
    began_at = time.monotonic()
    told = switch(household, name, client, how)["sessions"]
    assert how == "never" or [each["outcome"] for each in told] == ["resumed"], told
    bring()
    stub = household.providers.stubs[name]
    while not stub.turns:
        for each in household.providers.stubs.values():
            each.asked.clear()
        pane.ask("Say something.")
        if not until(household.providers.count, timeout_s=2):
            pane.press("Enter")  # none is taken while a window begins or connects again
            until(household.providers.count, timeout_s=10)
        if not stub.turns:
            time.sleep(_AGAIN_S)
    return stub.turns[0].when - began_at


def _rounds(
    household: Household,
    pane: Pane,
    client: ClientName,
    bring: Callable[[], object] = lambda: None,
    how: str = "never",
) -> list[float]:
    seconds = []
    for number in range(ROUNDS):
        time.sleep(2)
        for stub in household.providers.stubs.values():
            stub.asked.clear()
        name = ("two", "three")[number % 2]
        seconds.append(_first_request(household, name, client, pane, bring, how))
    return seconds


def _open(household: Household, panes: Tmux, client: ClientName, program: str) -> Pane:
    switch(household, "one", client)
    pane = panes.open(household.home / "bin" / program)
    assert pane.shows(READY[client])
    time.sleep(2)
    asks(household, pane, "one")
    assert began(household, client)
    return pane


def _ways(household: Household, panes: Tmux) -> Iterator[tuple[str, list[float]]]:
    """Yield each way by which a session follows, with what its rounds took."""
    pane = _open(household, panes, "claude-code", "claude")
    yield "Claude Code, live", _rounds(household, pane, "claude-code")
    ready = partial(pane.shows, READY["claude-code"])
    yield "Claude Code, restart", _rounds(household, pane, "claude-code", ready, "idle")
    pane = _open(household, panes, "codex", "codex")
    yield "Codex, new thread", _rounds(household, pane, "codex", partial(_new_thread, pane))
    yield "Codex, server restart", _rounds(household, pane, "codex", partial(_restart, household))
    pane = _open(household, panes, "qwen", "qwen")
    ready = partial(pane.shows, READY["qwen"])
    yield "Qwen Code, restart", _rounds(household, pane, "qwen", ready, "idle")


def _new_thread(pane: Pane) -> None:
    pane.ask("/new")
    time.sleep(0.5)


def _restart(household: Household) -> None:
    threads = [each for each in sessions(household) if each["client"] == "codex"]
    last = max(threads, key=lambda each: str(each["since"]))
    told = household.command("ai", "restart", last["id"][-8:], "--json").json["sessions"]
    assert [each["outcome"] for each in told] == ["resumed"], told
