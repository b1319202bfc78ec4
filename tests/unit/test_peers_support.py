"""What the tests with real clients lean on: how a red one tells what was asked, and that one process prepares."""

import threading
import time
from pathlib import Path

import pytest

from tests.support.peers.alone import alone
from tests.support.peers.journal import Journal
from tests.support.peers.provider_stub import Asked, ProviderStub
from tests.support.peers.switched import KEYS, NAMES, STRAY, Providers


@pytest.fixture
def served() -> Providers:
    """Providers that nobody can reach."""
    stubs = {name: ProviderStub(()) for name in (*NAMES, "elsewhere")}
    return Providers(stubs, {}, [], {}, Journal({**KEYS, "stray": STRAY}))


def ask(served: Providers, name: str, key: str, path: str = "/v1/messages") -> None:
    """Let a request come in."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    asked = Asked("POST", path, headers, {"model": f"{name}-large"})
    served.journal.note_request(name, asked)
    served.stubs[name].asked.append(asked)


def message(served: Providers) -> list[str]:
    """Return the lines of what is said of a leak, without the times."""
    with pytest.raises(AssertionError) as caught:
        served.assert_nothing_leaked()
    told = str(caught.value)
    assert not [key for key in (*KEYS.values(), STRAY) if key in told]
    return [line[8:].strip() for line in told.splitlines()]


def test_a_leak_is_told_with_what_was_asked_and_done_in_order(served: Providers) -> None:
    ask(served, "one", KEYS["ONE_KEY"])
    with served.journal.during("ai switch-llm two", changes=True):
        time.sleep(0.001)
    ask(served, "two", "")
    ask(served, "two", KEYS["ONE_KEY"])
    ask(served, "one", f"sk-{STRAY}-1", "/v1/models")
    assert message(served)[2:] == [
        "one POST /v1/messages ONE_KEY one-large",
        "-- ai switch-llm two: begins",
        "-- ai switch-llm two: ended",
        "two POST /v1/messages no key two-large",
        "two POST /v1/messages ONE_KEY two-large",
        "one POST /v1/models stray one-large",
    ]


@pytest.mark.parametrize("name", ["one", "elsewhere"])
def test_a_request_counts_unless_it_was_right_before_the_switch(
    served: Providers, name: str
) -> None:
    served.journal.reached = "one"
    ask(served, name, KEYS["ONE_KEY"])
    with served.journal.during("ai switch-llm two", changes=True):
        pass
    assert served.turns_since().keys() == {name} - {"one"}
    ask(served, "one", KEYS["ONE_KEY"])
    assert len(served.turns_since()["one"]) == 1  # the one of after the switch


@pytest.mark.parametrize(("key", "reached"), [("ONE_KEY", "two"), ("TWO_KEY", "one"), ("", "one")])
def test_a_prompt_to_who_was_not_reached_or_with_another_key_counts_always(
    served: Providers, key: str, reached: str
) -> None:
    served.journal.reached = reached
    ask(served, "one", KEYS.get(key, ""))
    with served.journal.during("ai switch-llm two", changes=True):
        pass
    assert served.turns_since().keys() == {"one"}


def test_of_several_that_prepare_something_one_does_so_at_a_time(tmp_path: Path) -> None:
    made = tmp_path / "cache/made"
    found: list[bool] = []

    def prepare() -> None:
        with alone(tmp_path / "cache/lock"):
            found.append(made.exists())
            time.sleep(0.01)
            made.touch()

    threads = [threading.Thread(target=prepare) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [False, True, True, True, True]
