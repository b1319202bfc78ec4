"""A directory is bound to a provider: what holds for the real Codex, and for its sessions in a terminal."""

import contextlib
import re
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.command import PROGRAM
from tests.support.parts import often
from tests.support.peers.bound import BEARER, BINDING, EXEC, assert_kept, assert_stopped, run
from tests.support.peers.bound import household as household  # the fixture
from tests.support.peers.pseudo_terminal import Terminal, submit, terminal, until
from tests.support.peers.switched import KEYS, NAMES, Household, programs, write

pytestmark = pytest.mark.peer


def test_binding_asks_no_provider_of_codex(household: Household) -> None:
    """Its server, which knows the digests of the guard, would ask for models as soon as it runs."""
    program = shlex.join(map(str, programs()["codex"]))
    write(household.home / "bin/codex", f'#!/bin/sh\n{program} "$@" | {{ sleep 3; cat; }}\n')
    answer = household.command("ai", "bind", "three")
    assert answer.status == 0 and not answer.err, answer
    household.providers.assert_untouched(*household.providers.stubs)


@pytest.mark.verifies("Codex, bound directory")
def test_codex_is_kept_through_ten_switches_of_the_whole(household: Household) -> None:
    for number in often(10, *BINDING, few=4):  # to each provider and back
        name = NAMES[number % 3]
        household.switch(name, "codex")
        assert_kept(household, "codex")
        if name == "one":
            run(household, "codex")
            household.providers.assert_reached("one", BEARER, "one-large")
        else:
            assert_stopped(household, "codex")


def test_codex_is_stopped_wherever_it_is_led(household: Household) -> None:
    household.switch("one", "codex")
    urls = household.providers.urls
    other = f'{{name="x", base_url="{urls["two"]}/v1", env_key="TWO_KEY"}}'
    led = ("-c", "model_provider=x", "-c", f"model_providers.x={other}")
    assert_stopped(household, "codex", *led, *EXEC)
    same = ("-c", f'model_providers.mahavishnu.base_url="{urls["two"]}/v1"')
    said = run(household, "codex", *same, *EXEC)
    household.providers.require(household.providers.count() == 0, said)
    # It asked for models, with the key: by an option.
    household.providers.stubs["two"].asked.clear()
    layer = f'model_provider = "x"\n[model_providers]\nx = {other}\n'
    write(household.home / ".codex/other.config.toml", layer)
    assert_stopped(household, "codex", "--profile", "other", *EXEC)
    key = f'{{name="x", base_url="{urls["one"]}/v1", env_key="TWO_KEY"}}'
    assert_stopped(
        household, "codex", "-c", "model_provider=x", "-c", f"model_providers.x={key}", *EXEC
    )
    assert_stopped(household, "codex", "-C", household.project, *led, *EXEC, cwd=household.home)


def test_codex_by_a_link_or_below_is_stopped(household: Household) -> None:
    link, sub = household.home / "link", household.project / "sub"
    link.symlink_to(household.project)
    sub.mkdir()
    for folder in (link, sub):
        assert_stopped(household, "codex", cwd=folder)


def test_the_key_is_withheld_where_codex_runs_no_guard(household: Household) -> None:
    """By settings elsewhere, or because a repository that the user trusts switches hooks off."""
    other = household.home / "other"
    other.mkdir()
    config = household.home / ".codex/config.toml"
    (other / "config.toml").write_text(config.read_text())
    elsewhere = {"CODEX_HOME": str(other)}
    assert_key_withheld(household, run(household, "codex", environ=elsewhere))
    trusted = f'\n[projects."{household.project}"]\ntrust_level = "trusted"\n'
    config.write_text(config.read_text() + trusted)
    write(household.project / ".codex/config.toml", "[features]\nhooks = false\n")
    assert_key_withheld(household, run(household, "codex"))
    [row] = household.command("ai", "bindings", "--json").json["bindings"]
    assert row["state"] == "unguarded" and "switches hooks off" in row["notes"][0]


def assert_key_withheld(household: Household, said: str) -> None:
    assert "[secret.other_profile]" in said, said
    told = any(each.credentials for each in household.providers.turns("two"))
    household.providers.require(not told, "two was told a key")
    household.providers.forget()


def test_a_thread_of_there_does_not_go_on_elsewhere(household: Household) -> None:
    assert_kept(household, "codex")
    outside = household.home / "outside"
    outside.mkdir()
    [thread] = (household.home / ".codex/sessions").rglob("*.jsonl")
    resume = ("exec", "--skip-git-repo-check", "resume", thread.stem[-36:], "Go on.")
    assert_stopped(household, "codex", *resume, cwd=outside)
    run(household, "codex", cwd=outside)
    assert household.providers.turns("two")
    household.providers.stubs["two"].asked.clear()


def test_codex_in_a_terminal_is_stopped_once_anything_of_it_would_go_elsewhere(
    household: Household,
) -> None:
    """A thread keeps its provider, but its title is asked for with the settings of the present."""
    household.switch("one", "codex")
    trust(household)
    with codex_in_terminal(household) as session:
        assert_answers(household, session)
        household.switch("two", "codex")
        assert_silent(household, session)
        household.switch("one", "codex")
        assert_answers(household, session)
        household.switch("two", "codex")
        assert_silent(household, session, "/compact")
    with codex_in_terminal(household) as session:
        assert_silent(household, session)
        household.switch("one", "codex")  # the thread is still with the other
        assert_silent(household, session)


def test_codex_in_a_terminal_that_was_started_on_the_profile_is_kept(household: Household) -> None:
    trust(household)
    words = (str(PROGRAM), "ai", "run", "--bound", "--", str(household.home / "bin/codex"))
    with codex_in_terminal(household, *words) as session:
        for name in ("three", "two"):
            assert_answers(household, session)
            household.switch(name, "codex")
        assert_answers(household, session)


def test_a_server_of_codex_that_was_started_there_serves_other_folders(
    household: Household,
) -> None:
    """It asks for keys from the folder that it was started in, for all its threads."""
    outside = household.home / "outside"
    outside.mkdir()
    trust(household)
    trust(household, outside)
    with codex_in_terminal(household) as session:
        assert_silent(household, session)
    with codex_in_terminal(household, folder=outside) as session:
        say(household, session, lambda: household.providers.turns("two"))
        [*_, asked] = household.providers.turns("two")
        assert asked.credentials == {"authorization": f"Bearer {KEYS['TWO_KEY']}"}


def trust(household: Household, folder: Path | None = None) -> None:
    path = household.home / ".codex/config.toml"
    trusted = f'\n[projects."{folder or household.project}"]\ntrust_level = "trusted"\n'
    path.write_text(path.read_text() + trusted)


@contextlib.contextmanager
def codex_in_terminal(
    household: Household, *words: str, folder: Path | None = None
) -> Iterator[Terminal]:
    environ, where = household.environ, folder or household.project
    with terminal(words or programs()["codex"], environ=environ, folder=where) as session:
        # Its server runs once it shows the model.
        assert until(lambda: "-large default" in readable(session), timeout_s=90), readable(session)
        yield session


def assert_answers(household: Household, session: Terminal) -> None:
    """Assert that a prompt goes to the bound provider, and so does its title, for which a thread of its own asks."""
    served = household.providers
    say(household, session, lambda: len(served.turns_since().get("one", [])) >= 2)
    served.assert_reached("one", BEARER, "one-large")


def assert_silent(household: Household, session: Terminal, text: str = "Say something.") -> None:
    """Assert that a prompt is refused, and that no model of anybody is asked."""
    before = readable(session).count("bound")
    say(household, session, lambda: readable(session).count("bound") > before, text)
    time.sleep(2)
    household.providers.assert_no_turns(readable(session))


def say(
    household: Household,
    session: Terminal,
    happened: Callable[[], object],
    text: str = "Say something.",
) -> None:
    journal = household.providers.journal
    journal.note(f"typed: {text}")
    submit(session, text, happened, lambda: f"{readable(session)}\n{journal}")


def readable(session: Terminal) -> str:
    """Return what was shown, without what places it on the screen."""
    text = session.shown.decode(errors="replace")
    return " ".join(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", " ", text).split())
