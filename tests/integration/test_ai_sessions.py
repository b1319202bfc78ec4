"""Which sessions run, which profile each is on, and how they are ended: with processes that play the clients."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mahavishnu.ai.clients import running as machine
from mahavishnu.ai.clients.session import RunningSession, SessionState
from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.sessions import restarting
from mahavishnu.ai.sessions import session_state as states
from mahavishnu.ai.sessions.restarting import Wish, choose, follow_switch, plan, restart
from mahavishnu.ai.sessions.resume import plan_resume, shown_words
from mahavishnu.ai.sessions.session_state import find_session_states
from mahavishnu.ai.sessions.stopping import stop
from mahavishnu.ai.sessions.terminals import Pane, is_opened_for
from mahavishnu.ai.switching.drift import adopt
from mahavishnu.ai.switching.undo import undo
from mahavishnu.base.errors import Unavailable, UsageError
from mahavishnu.base.processes import ProcessIdentity, identify
from mahavishnu.interfaces.cli.ai.sessions_output import lines_of
from mahavishnu.operations.ai.sessions import restarted_body, session_body
from tests.support.ai_sessions import STAYS, Running, held, running, thread
from tests.support.switching import CLAUDE, CODEX, KEYS, ONE, TWO, Site, install, site_in, switch_to

PROFILES = {each.name: each for each in (ONE, TWO, CLAUDE, CODEX)}
SOON = 0.05  # s; a settings file's time and that of a session are told apart by it


@pytest.fixture
def site(tmp_path: Path) -> Site:
    install(tmp_path)
    (tmp_path / "project").mkdir()
    return site_in(tmp_path)


def look(site: Site) -> tuple[SessionState, ...]:
    return find_session_states(site, PROFILES, site.journal.read())


def only(site: Site) -> SessionState:
    (found,) = look(site)
    return found


def told(found: SessionState) -> tuple[str | None, str, str]:
    return found.profile, found.model, found.needs


# Which there are


def test_sessions_are_those_that_are_registered_and_run(site: Site, tmp_path: Path) -> None:
    with (
        running(tmp_path, "claude-code", model="x") as claude,
        running(tmp_path, "qwen", model="y") as qwen,
        thread(tmp_path) as codex,
    ):
        found = {each.session.client: each.session for each in look(site)}
        assert {name: each.process.pid for name, each in found.items()} == {
            "claude-code": claude.pid, "codex": codex.pid, "qwen": qwen.pid,
        }  # fmt: skip
        assert [found[name].id for name in found] == [claude.id, codex.id, qwen.id]
        assert {each.folder for each in found.values()} == {str(tmp_path / "project")}
        assert {each.activity for each in found.values()} == {"idle"}
        assert all(each.certain for each in found.values()) and found["codex"].shared
    assert look(site) == ()


@pytest.mark.parametrize("client", ["claude-code", "qwen"])
def test_a_file_that_outlived_its_session_is_none_though_its_pid_lives(
    site: Site, tmp_path: Path, client: states.ClientName
) -> None:
    with running(tmp_path, client, procStart="1") as other:
        assert look(site) == ()
        other.register(procStart="", startedAt=int((time.time() - 3600) * 1000))
        assert look(site) == ()  # the process began after the session did
        other.register(procStart="")
        assert only(site).session.certain


def test_a_codex_server_whose_pid_was_reused_is_none(tmp_path: Path) -> None:
    with thread(tmp_path):
        file = tmp_path / ".codex/app-server-daemon/daemon.pid"
        about = json.loads(file.read_text())
        find = CLIENTS["codex"].sessions.find
        assert [each.shared for each in find(tmp_path / ".codex")] == [True]
        about["processIdentity"]["startTicks"] += 1
        file.write_text(json.dumps(about))
        assert [each.shared for each in find(tmp_path / ".codex")] == [False]


def test_a_thread_whose_lock_nobody_holds_is_none(site: Site, tmp_path: Path) -> None:
    with thread(tmp_path) as session:
        lock = tmp_path / ".codex/thread-writer-locks" / f"{session.id}.lock"
        lock.rename(lock.with_suffix(".old"))
        lock.touch()
        assert look(site) == ()
        descriptor = held(lock)
        assert only(site).session.process.pid == os.getpid()
        os.close(descriptor)


@pytest.mark.parametrize(
    "text", ['{"pid": ', "[]", '"x"', '{"sessionId": 7, "cwd": [], "kind": null, "status": {}}', ""]
)
def test_a_client_of_an_unknown_form_is_there_and_is_not_ended(
    site: Site, tmp_path: Path, text: str
) -> None:
    with running(tmp_path, "claude-code") as session:
        session.file.write_text(text)
        found = only(site)
        assert (found.session.activity, found.session.id, found.session.certain) == (
            "unknown",
            "",
            False,
        )
        (done,) = restart(site, [found], Wish(anywhere=True, busy=True), lambda: look(site))
        assert done.outcome == "left" and session.process.poll() is None


def test_one_that_may_be_another_process_is_not_ended(site: Site, tmp_path: Path) -> None:
    with running(tmp_path, "claude-code", procStart="", startedAt=None) as session:
        (done,) = restart(site, look(site), Wish(anywhere=True, busy=True), lambda: look(site))
        assert done.outcome == "left" and "may be another one" in done.reason
        assert session.process.poll() is None


@pytest.mark.parametrize("client", ["claude-code", "qwen"])
@pytest.mark.parametrize(
    "said",
    [
        b'{"sessionId": "\xff"}',
        b'{"a":' * 5_000,
        b'{"sessionId": "a\\u0000", "cwd": "/a\\u0000"}',
        b'{"sessionId": "*", "cwd": "/", "startedAt": 1e300, "statusUpdatedAt": -1e300}',
    ],
)
def test_what_a_client_never_wrote_before_stops_nothing(
    site: Site, tmp_path: Path, client: ClientName, said: bytes
) -> None:
    with running(tmp_path, client, model="x") as session:
        session.file.write_bytes(said)
        found = only(site)
        assert session_body(found).id is None and not found.session.certain
        (done,) = restart(site, [found], Wish(anywhere=True, busy=True), lambda: look(site))
        assert done.outcome == "left"


@pytest.mark.parametrize("factor", [1_000, 0.001])
@pytest.mark.parametrize("client", ["claude-code", "qwen"])
def test_a_time_in_another_unit_is_none(
    site: Site, tmp_path: Path, client: ClientName, factor: float
) -> None:
    with running(tmp_path, client, model="x") as session:
        about = {"startedAt": time.time() * 1_000 * factor}
        session.register(**about)
        # It is the process then that says when it began, to a second.
        assert abs(only(site).session.since - time.time()) < 60
        session.register(**about, procStart="what it was")
        found = only(site)
        assert not found.session.certain and session_body(found).since


def test_settings_that_cannot_be_read_are_told_with_the_sessions(
    site: Site, tmp_path: Path
) -> None:
    with running(tmp_path, "claude-code"):
        (tmp_path / ".claude/settings.json").write_text('{"env": ')
        found = only(site)
        assert found.profile is None and "settings.json" in found.why and found.needs == "nothing"


# What each is on


def test_claude_code_follows_with_address_and_key_and_keeps_its_model(
    site: Site, tmp_path: Path
) -> None:
    switch_to(site, ONE, "claude-code")
    with running(tmp_path, "claude-code", model="one-large"):
        assert told(only(site)) == ("one", "one-large", "nothing")
        time.sleep(SOON)
        switch_to(site, TWO, "claude-code")
        found = only(site)
        assert told(found) == ("two", "one-large", "restart")
        assert (found.reach, found.model_reach) == ("live", "restart")
        assert found.url == TWO.endpoints["anthropic"]


def test_a_model_of_claude_codes_own_choice_follows_with_the_rest(
    site: Site, tmp_path: Path
) -> None:
    with running(tmp_path, "claude-code", model="claude-opus-5"):
        time.sleep(SOON)
        switch_to(site, ONE, "claude-code")
        found = only(site)
        assert (found.profile, found.needs, found.model_reach) == ("one", "nothing", "live")


def test_one_that_began_with_a_providers_model_needs_a_restart_at_the_sign_in(
    site: Site, tmp_path: Path
) -> None:
    switch_to(site, ONE, "claude-code")
    with running(tmp_path, "claude-code", model="one-large"):
        time.sleep(SOON)
        switch_to(site, CLAUDE, "claude-code")
        found = only(site)
        assert told(found) == ("claude", "one-large", "restart")
        (left,) = follow_switch(site, [found], "never", lambda: look(site))
        assert left.command[1:3] == ("--model", "default")


def test_an_answer_on_its_way_comes_from_where_it_was_asked(site: Site, tmp_path: Path) -> None:
    switch_to(site, ONE, "claude-code")
    asked = int(time.time() * 1000) + 1
    with running(
        tmp_path, "claude-code", status="busy", statusUpdatedAt=asked, model="one-large"
    ) as session:
        time.sleep(SOON)
        switch_to(site, TWO, "claude-code")
        assert (only(site).profile, only(site).url) == ("one", ONE.endpoints["anthropic"])
        session.register(status="busy", statusUpdatedAt=int(time.time() * 1000) + 60_000)
        assert only(site).profile == "two"


def test_a_model_by_a_name_of_the_clients_own_follows(site: Site, tmp_path: Path) -> None:
    switch_to(site, ONE, "claude-code")
    with running(tmp_path, "claude-code", "--model", "opus", model="one-large"):
        time.sleep(SOON)
        switch_to(site, TWO, "claude-code")
        assert (only(site).needs, only(site).model_reach) == ("nothing", "live")


def test_a_change_by_hand_does_not_reach_what_began_before(site: Site, tmp_path: Path) -> None:
    switch_to(site, ONE, "qwen")
    with running(tmp_path, "qwen", model="one-large"):
        time.sleep(SOON)
        path = tmp_path / ".qwen/settings.json"
        path.write_text(path.read_text().replace("one.example", "other.example"))
        assert (only(site).profile, only(site).needs) == ("one", "restart")


def test_one_that_was_resumed_asks_what_the_settings_say(site: Site, tmp_path: Path) -> None:
    switch_to(site, TWO, "claude-code")
    with running(tmp_path, "claude-code") as session:
        session.answer("one-large", after=timedelta(minutes=-5))
        assert told(only(site)) == ("two", "two-large", "nothing")


def test_a_session_of_claude_code_goes_by_all_its_layers(site: Site, tmp_path: Path) -> None:
    switch_to(site, ONE, "claude-code")
    project = tmp_path / "project/.claude/settings.local.json"
    project.parent.mkdir()
    given = json.dumps({"env": {"ANTHROPIC_BASE_URL": "https://given.example"}})
    with running(tmp_path, "claude-code"):
        project.write_text('{"env": {"ANTHROPIC_BASE_URL": "https://project.example"}}')
        assert (only(site).url, only(site).profile) == ("https://project.example", None)
        project.write_text("{")
        assert only(site).profile == "one"
    with running(tmp_path, "claude-code", "--settings", given):
        found = only(site)
        assert (found.url, found.reach, found.needs) == ("https://given.example", "own", "nothing")


def test_a_session_behind_the_gateway_is_on_the_profile_of_its_route(
    site: Site, tmp_path: Path
) -> None:
    switch_to(site, ONE, "claude-code", via="gateway")
    with running(tmp_path, "claude-code"):
        assert only(site).profile == "one"
        switch_to(site, TWO, "claude-code")
        assert only(site).profile == "two"


def test_settings_of_a_session_are_read_from_its_folder(site: Site, tmp_path: Path) -> None:
    switch_to(site, ONE, "claude-code")
    said = {"env": {"ANTHROPIC_BASE_URL": "https://other.example", "ANTHROPIC_AUTH_TOKEN": "x"}}
    (tmp_path / "project" / "own.json").write_text(json.dumps(said))
    with running(tmp_path, "claude-code", "--settings", "own.json", model="x"):
        found = only(site)
        assert (found.profile, found.url) == (None, "https://other.example")
        assert (found.reach, found.needs) == ("own", "nothing")


@pytest.mark.parametrize(
    ("sources", "profile", "reach"),
    [("user", "one", "live"), ("user,project", "one", "live"), ("local", "two", "own")],
)
def test_settings_that_a_session_passes_over_do_not_count(
    site: Site, tmp_path: Path, sources: str, profile: str, reach: str
) -> None:
    switch_to(site, ONE, "claude-code")
    switch_to(site, TWO, "claude-code", scope="project")
    with running(tmp_path, "claude-code", "--setting-sources", sources, model="x"):
        assert (only(site).profile, only(site).reach) == (profile, reach)


def test_one_in_another_home_is_resumed_there(site: Site, tmp_path: Path) -> None:
    home = {"QWEN_HOME": str(tmp_path / ".qwen")}
    with running(tmp_path, "qwen", "-y", model="x", environ=home) as session:
        assert plan(only(site)).words == (
            *("env", f"QWEN_HOME={tmp_path}/.qwen", "qwen", "-y", "--resume", session.id),
        )


def test_an_exported_address_counts_where_no_file_says_one(site: Site, tmp_path: Path) -> None:
    exported = {"ANTHROPIC_BASE_URL": ONE.endpoints["anthropic"], "ANTHROPIC_AUTH_TOKEN": "canary"}
    with running(tmp_path, "claude-code", environ=exported):
        found = only(site)
        assert (found.profile, found.url) == ("one", ONE.endpoints["anthropic"])
        assert "canary" not in repr(found)


def test_a_thread_of_codex_stays_with_the_provider_of_its_loading(
    site: Site, tmp_path: Path
) -> None:
    switch_to(site, ONE, "codex")
    time.sleep(SOON)
    with thread(tmp_path, environ=KEYS):
        assert told(only(site)) == ("one", "one-large", "nothing")
        time.sleep(SOON)
        switch_to(site, TWO, "codex")
        found = only(site)
        assert told(found) == ("one", "one-large", "thread") and found.reach == "thread"
        undo(site)
        assert told(only(site)) == ("one", "one-large", "nothing")


def test_a_codex_server_without_the_key_needs_a_restart(site: Site, tmp_path: Path) -> None:
    switch_to(site, ONE, "codex")
    time.sleep(SOON)
    with thread(tmp_path, environ={"ONE_KEY": "canary"}):
        found = only(site)
        assert found.needs == "restart" and "ONE_KEY" in found.why and "canary" not in repr(found)


def test_a_thread_that_was_started_on_a_profile_is_on_its_own(site: Site, tmp_path: Path) -> None:
    switch_to(site, ONE, "codex")
    url = TWO.endpoints["openai-responses"]
    words = ("-c", f'model_providers.mahavishnu-run={{name = "x", base_url = "{url}"}}')
    with thread(tmp_path, *words, provider="mahavishnu-run", model="two-large", server=False):
        found = only(site)
        assert (found.profile, found.reach, found.needs) == ("two", "own", "nothing")


def test_of_two_profiles_at_one_address_the_key_tells(site: Site, tmp_path: Path) -> None:
    twin = replace(ONE, name="a-twin", key=TWO.key)
    both = {"a-twin": twin, "one": ONE}
    url = ONE.endpoints["openai-responses"]
    provider = f'{{base_url = "{url}", auth = {{command = "k", args = ["env:ONE_KEY"]}}}}'
    words = ("-c", f"model_providers.mahavishnu-run={provider}")
    with thread(tmp_path, *words, provider="mahavishnu-run", server=False):
        (found,) = find_session_states(site, both, site.journal.read())
        assert found.profile == "one"


def test_a_thread_on_a_provider_of_its_own_is_on_no_profile(site: Site, tmp_path: Path) -> None:
    switch_to(site, ONE, "codex")
    with thread(tmp_path, provider="azure", environ={"ONE_KEY": "another"}) as session:
        found = only(site)
        assert (found.profile, found.reach, found.needs) == (None, "own", "nothing")
        assert "azure" in found.why
        # One that was resumed is on what the settings said then, whatever it began on.
        lock = tmp_path / ".codex" / "thread-writer-locks" / f"{session.id}.lock"
        os.utime(lock, (time.time() + 60,) * 2)
        assert only(site).profile == "one"


@pytest.mark.parametrize(("client", "adopted"), [("codex", False), ("codex", True), ("qwen", True)])
def test_one_that_began_on_what_another_wrote_is_on_no_profile(
    site: Site, tmp_path: Path, client: ClientName, adopted: bool
) -> None:
    path = install(tmp_path)[client]
    switch_to(site, ONE, client)
    time.sleep(SOON)
    path.write_text(path.read_text().replace("https://one.example/v1", "https://foreign.example"))
    if adopted:
        adopt(site, [client])
    time.sleep(SOON)
    with thread(tmp_path) if client == "codex" else running(tmp_path, client, model="one-large"):
        assert only(site).profile is None
        time.sleep(SOON)
        switch_to(site, TWO, client, overwrite=True)
        assert (only(site).profile, only(site).url) == (None, "")
        assert only(site).needs == "restart"


def test_qwen_code_stays_as_it_began(site: Site, tmp_path: Path) -> None:
    switch_to(site, ONE, "qwen")
    time.sleep(SOON)
    with running(tmp_path, "qwen", model="one-large"):
        assert told(only(site)) == ("one", "one-large", "nothing")
        time.sleep(SOON)
        switch_to(site, TWO, "qwen")
        found = only(site)
        assert told(found) == ("one", "one-large", "restart") and found.reach == "restart"
        undo(site)
        assert only(site).needs == "nothing"


def test_a_session_of_qwen_code_on_a_profile_of_its_own(site: Site, tmp_path: Path) -> None:
    switch_to(site, ONE, "qwen")
    url = TWO.endpoints["openai-chat"]
    with running(tmp_path, "qwen", "--openai-base-url", url, model="two-large"):
        assert (only(site).profile, only(site).reach) == ("two", "own")


def test_a_session_of_qwen_code_that_was_started_on_a_profile_stays_on_it(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "https://other.example/anthropic"
    other = replace(ONE, name="other", endpoints={"anthropic": url}, model="other-large")
    twin = replace(other, name="twin", key=TWO.key)
    monkeypatch.setitem(PROFILES, "other", other)
    monkeypatch.setitem(PROFILES, "twin", twin)
    switch_to(site, ONE, "qwen")
    words = ("--auth-type", "anthropic", "--model", "other-large")
    environ = {"ANTHROPIC_BASE_URL": url, "MAHAVISHNU_AI_PROFILE": "twin"}
    with running(tmp_path, "qwen", *words, model="other-large", environ=environ) as session:
        time.sleep(SOON)
        switch_to(site, TWO, "qwen")
        found = only(site)
        assert told(found) == ("twin", "other-large", "nothing") and found.reach == "own"
        assert plan(found).words == (
            *("mahavishnu", "ai", "run", "twin", "--", "qwen", "--resume", session.id),
        )
        assert not plan(found).left_out


def test_a_model_of_another_is_on_no_profile_of_qwen_code(site: Site, tmp_path: Path) -> None:
    switch_to(site, ONE, "qwen")
    with running(tmp_path, "qwen", model="of-the-project"):
        assert told(only(site)) == (None, "of-the-project", "nothing")


def test_what_was_there_before_the_first_switch_is_no_profile_of_ours(
    site: Site, tmp_path: Path
) -> None:
    with running(tmp_path, "qwen", model="x"):
        time.sleep(SOON)
        switch_to(site, ONE, "qwen")
        assert (only(site).profile, only(site).needs) == (None, "restart")


@pytest.mark.parametrize(
    ("lines", "activity"),
    [
        ([{"type": "user"}], "busy"),
        ([{"type": "assistant", "message": {"parts": [{"functionCall": {}}]}}], "busy"),
        ([{"type": "tool_result"}], "busy"),
        ([{"type": "user"}, {"type": "assistant", "message": {"parts": [{"text": ""}]}}], "idle"),
        ([], "idle"),
    ],
)
def test_whether_qwen_code_works_is_read_from_its_transcript(
    site: Site, tmp_path: Path, lines: list[dict[str, object]], activity: str
) -> None:
    with running(tmp_path, "qwen", model="x") as session:
        for line in lines:
            session.note(line)
        session.note({"type": "system", "subtype": "ui_telemetry"})
        assert only(site).session.activity == activity


# Ending one


def identity_of(session: Running) -> ProcessIdentity:
    found = identify(session.pid)
    assert found is not None
    return found


def test_a_session_is_gone_with_what_it_started(tmp_path: Path) -> None:
    with running(tmp_path, "qwen", child="import time; time.sleep(600)") as session:
        family = wait_for_child(session)
        ended = stop(identity_of(session), timeout_s=3, force=False)
        # A child that nobody told of the end stays, and is named.
        assert ended.gone and ended.left == family
        assert not stop(family[0], timeout_s=60, force=False).left


def test_one_that_passes_over_the_signal_stays_unless_it_is_to_be_killed(tmp_path: Path) -> None:
    with running(tmp_path, "qwen", ignoring=True, child=STAYS) as session:
        family = wait_for_child(session)
        assert not stop(identity_of(session), timeout_s=0.2, force=False).gone
        ended = stop(identity_of(session), timeout_s=5, force=True)
        assert ended.gone and not ended.left and not family[0].alive


def test_a_pid_that_means_another_process_by_now_is_not_asked_to_end(tmp_path: Path) -> None:
    with running(tmp_path, "qwen") as session:
        another = ProcessIdentity(session.pid, "boot:1")
        stop(another, timeout_s=0.2, force=True)
        with pytest.raises(subprocess.TimeoutExpired):
            session.process.wait(0.5)


def wait_for_child(session: Running) -> tuple[ProcessIdentity, ...]:
    end = time.monotonic() + 60
    while not (family := machine.family_of(identity_of(session))):
        assert time.monotonic() < end
    return tuple(family)


@pytest.fixture
def after_a_switch(site: Site, tmp_path: Path) -> Iterator[tuple[Site, Running]]:
    """A session of Qwen Code that a switch has not reached."""
    switch_to(site, ONE, "qwen")
    with running(tmp_path, "qwen", "--yolo", "-p", "hi", model="one-large") as session:
        time.sleep(SOON)
        switch_to(site, TWO, "qwen")
        yield site, session


def test_by_default_one_that_cannot_be_resumed_in_place_runs_on_and_its_command_is_told(
    after_a_switch: tuple[Site, Running],
) -> None:
    site, session = after_a_switch
    (done,) = follow_switch(site, look(site), "idle", lambda: look(site))
    assert done.outcome == "left" and session.process.poll() is None
    assert done.command == ("qwen", "--yolo", "--resume", session.id)
    assert done.left_out == ("-p",)


def test_with_all_it_is_ended(after_a_switch: tuple[Site, Running]) -> None:
    site, session = after_a_switch
    (done,) = follow_switch(site, look(site), "all", lambda: look(site))
    assert done.outcome == "stopped" and session.process.poll() is not None


def test_never_leaves_all_as_they_are(after_a_switch: tuple[Site, Running]) -> None:
    site, session = after_a_switch
    (done,) = follow_switch(site, look(site), "never", lambda: look(site))
    assert done.outcome == "left" and session.process.poll() is None


def test_one_that_became_busy_meanwhile_is_left_alone(
    after_a_switch: tuple[Site, Running],
) -> None:
    site, session = after_a_switch
    chosen = choose(look(site))
    session.note({"type": "user"})
    (done,) = restart(site, chosen, Wish(anywhere=True), lambda: look(site))
    assert done.outcome == "left" and "busy" in done.reason and session.process.poll() is None


def test_the_session_that_a_command_is_called_from_is_never_ended(
    after_a_switch: tuple[Site, Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, session = after_a_switch
    monkeypatch.setattr(states, "ancestors", lambda: frozenset({session.pid}))
    (done,) = restart(site, choose(look(site)), Wish(anywhere=True, busy=True, kill=True), tuple)
    assert done.outcome == "left" and "called from it" in done.reason
    assert session.process.poll() is None
    assert {os.getpid(), os.getppid()} <= machine.ancestors()


def test_one_with_a_key_among_its_options_is_left_alone(site: Site, tmp_path: Path) -> None:
    given = json.dumps({"env": {"ANTHROPIC_AUTH_TOKEN": KEYS["ONE_KEY"]}})
    with running(tmp_path, "claude-code", "--settings", given, model="x") as session:
        (done,) = restart(site, look(site), Wish(anywhere=True, busy=True), lambda: look(site))
        assert done.outcome == "left" and "key" in done.reason
        assert session.process.poll() is None


def test_one_that_nobody_types_into_is_left_alone(after_a_switch: tuple[Site, Running]) -> None:
    site, session = after_a_switch
    session.register(kind="headless")
    (done,) = restart(site, look(site), Wish(anywhere=True, busy=True), lambda: look(site))
    assert done.outcome == "left" and session.process.poll() is None


def test_a_server_of_codex_with_a_busy_thread_is_not_restarted(site: Site, tmp_path: Path) -> None:
    switch_to(site, ONE, "codex")
    program = tmp_path / "codex"
    program.write_text(f'#!/bin/sh\n: > {tmp_path}/called\necho \'{{"status": "restarted"}}\'\n')
    program.chmod(0o755)
    site = replace(site, environ={**site.environ, "PATH": str(tmp_path)})
    with thread(tmp_path, turn="task_started", environ={"ONE_KEY": "old"}) as session:
        (done,) = restart(site, look(site), Wish(), lambda: look(site))
        assert done.outcome == "left" and "busy" in done.reason
        assert not (tmp_path / "called").exists()
        (done,) = restart(site, look(site), Wish(busy=True), lambda: look(site))
        assert done.outcome == "resumed" and (tmp_path / "called").exists()
        assert done.command == ("codex", "resume", session.id, "-m", "one-large")
        program.write_text("#!/bin/sh\necho no\n")
        (done,) = restart(site, look(site), Wish(busy=True), lambda: look(site))
        assert done.outcome == "left" and "own command" in done.reason


def test_a_thread_in_a_process_of_its_own_leaves_the_server_alone(
    site: Site, tmp_path: Path
) -> None:
    switch_to(site, ONE, "codex")
    program = tmp_path / "codex"
    program.write_text(f'#!/bin/sh\n: > {tmp_path}/called\necho \'{{"status": "restarted"}}\'\n')
    program.chmod(0o755)
    site = replace(site, environ={**site.environ, "PATH": str(tmp_path)})
    with thread(tmp_path), thread(tmp_path, server=False) as session:
        named = [each for each in look(site) if each.session.id == session.id]
        (done,) = restart(site, named, Wish(busy=True, anywhere=True), lambda: look(site))
        assert done.outcome == "left" and "of its own" in done.reason
        assert not (tmp_path / "called").exists()


def test_another_session_in_the_folder_is_not_taken_for_the_one_that_was_resumed(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Closed(Pane):
        def start(self, words: Sequence[str], folder: str, *, timeout_s: float) -> bool:
            return True

    monkeypatch.setattr(restarting, "find_pane", lambda *_: Closed("false", "", "", False))
    monkeypatch.setattr(restarting, "_BEGIN_TIMEOUT_S", 0.5)
    switch_to(site, ONE, "qwen")
    with running(tmp_path, "qwen") as session:
        time.sleep(SOON)
        switch_to(site, TWO, "qwen")
        with running(tmp_path, "qwen"):
            (done,) = restart(site, choose(look(site)), Wish(), lambda: look(site))
            assert done.state.session.process.pid == session.pid
            assert done.outcome == "stopped"


def test_a_suspended_session_is_not_ended(after_a_switch: tuple[Site, Running]) -> None:
    site, session = after_a_switch
    session.process.send_signal(signal.SIGSTOP)
    os.waitpid(session.process.pid, os.WUNTRACED)  # the kernel stops it when it runs next
    (done,) = restart(site, choose(look(site)), Wish(anywhere=True), lambda: look(site))
    session.process.send_signal(signal.SIGCONT)
    assert done.outcome == "left" and "suspended" in done.reason
    with pytest.raises(subprocess.TimeoutExpired):
        session.process.wait(0.5)


SLEEP = "sleep 300"


@pytest.mark.parametrize(
    ("words", "opened_for"),
    [
        (["sleep", "300"], True),
        (["sh", "-c", f"{SLEEP}; exec sh"], None),
        (["bash", "-lc", f"{SLEEP}; true"], None),
        (["sh", "SCRIPT"], None),
        (["sh"], False),
        (["bash", "--norc"], False),
        (["bash", "--rcfile", "/dev/null", "-i"], False),
    ],
)
def test_a_pane_is_used_where_nothing_else_goes_on_in_it(
    tmp_path: Path, words: list[str], opened_for: bool | None
) -> None:
    (tmp_path / "script").write_text(f"{SLEEP}\ntrue\n")
    words = [str(tmp_path / "script") if each == "SCRIPT" else each for each in words]
    shell = subprocess.Popen(
        words, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    assert shell.stdin is not None
    try:
        shell.stdin.write(f"{SLEEP}\n")
        shell.stdin.flush()
        end = time.monotonic() + 60
        while not (found := [e for e in family(shell.pid) if machine.words_of(e) == SLEEP.split()]):
            assert time.monotonic() < end
        assert is_opened_for(found[0], shell.pid) is opened_for
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.stdin.close()
        shell.wait()


def family(pid: int) -> list[ProcessIdentity]:
    found = identify(pid)
    return [found, *machine.family_of(found)] if found else []


# How one is resumed


def a_session(client: states.ClientName, identifier: str = "id") -> RunningSession:
    return RunningSession(
        client=client, id=identifier, process=ProcessIdentity(1, "x"), folder="/p", since=0.0
    )


@pytest.mark.parametrize(
    ("client", "words", "model", "resumed", "left_out"),
    [
        (
            "claude-code",
            ["claude", "--permission-mode", "plan", "--add-dir", "/a", "/b", "--model", "x", "Hi"],
            None,
            "claude --permission-mode plan --add-dir /a /b --resume id",
            (),
        ),
        ("claude-code", ["claude", "--model=opus[1m]", "-r"], None, "claude --model opus[1m] --resume id", ()),
        ("claude-code", ["claude", "--new", "1"], "", "claude --model default --resume id", ("--new",)),
        ("codex", ["codex", "--x"], "m", "codex resume id -m m", ()),
        ("qwen", ["/n/node", "--expose-gc", "/q/cli.js", "-y", "-m", "a"], None, "qwen -y --resume id", ()),
    ],
)  # fmt: skip
def test_the_words_that_resume_a_session(
    client: states.ClientName,
    words: list[str],
    model: str | None,
    resumed: str,
    left_out: tuple[str, ...],
) -> None:
    found = plan_resume(a_session(client), words, model=model)
    assert (" ".join(found.words), found.left_out) == (resumed, left_out)


@pytest.mark.parametrize(
    "words",
    [
        ("--settings", '{"env": {"ANTHROPIC_AUTH_TOKEN": "canary"}}'),
        ('--settings={"env": {"ANTHROPIC_CUSTOM_HEADERS": "x: canary"}}',),
        ("--mcp-config", '{"mcpServers": {"a": {"headers": {"x-api-key": "canary"}}}}'),
        ("--append-system-prompt", "The key is sk-ant-canary-0123456789."),
    ],
)
def test_a_key_that_a_session_was_started_with_is_not_printed(
    site: Site, tmp_path: Path, words: tuple[str, ...]
) -> None:
    with running(tmp_path, "claude-code", *words, model="x"):
        found = only(site)
        (done,) = restart(site, [replace(found, here=True)], Wish(), lambda: look(site))
        printed = f"{session_body(found)} {restarted_body(done)} {lines_of([restarted_body(done)])}"
        assert "canary" not in printed and "which is not shown" in printed


def test_what_a_profile_says_among_the_words_is_printed_as_it_is(tmp_path: Path) -> None:
    options = (
        '{"env": {"ANTHROPIC_API_KEY": ""}, "apiKeyHelper": "/bin/mahavishnu-key env:ONE_KEY"}'
    )
    assert shown_words(("claude", "--settings", options)) == ("claude", "--settings", options)


def test_one_without_a_turn_is_started_anew() -> None:
    assert plan_resume(a_session("claude-code", ""), ["claude", "-c"], model=None).words == (
        "claude",
    )


@pytest.mark.leak
def test_no_key_of_a_session_shows(site: Site, tmp_path: Path) -> None:
    with running(tmp_path, "qwen", model="x"):
        assert "canary" not in repr(look(site))


def test_the_desktop_app_is_asked_to_quit_and_opened_when_it_has() -> None:
    from mahavishnu.ai.clients.claude_code.desktop import ASK, OPEN, QUIT, restart_app

    answers, said = iter(["true", "true", "true", "false"]), []

    def run(words: object) -> str:
        said.append(words)
        return next(answers) if words == ASK else ""

    assert restart_app(run, platform="darwin", pause=lambda _: None)
    assert said == [ASK, QUIT, ASK, ASK, ASK, OPEN]
    assert not restart_app(lambda _: "false", platform="darwin")
    with pytest.raises(Unavailable):
        restart_app(lambda _: "true", platform="darwin", clock=iter([0.0, 99.0]).__next__)
    with pytest.raises(UsageError):
        restart_app(run, platform="linux")
