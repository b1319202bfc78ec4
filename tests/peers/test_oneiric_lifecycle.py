"""Which cloud store is in force, and the traps of Oneiric's lifecycle: each is fallen into here, and survived."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from mahavishnu.base.errors import Forbidden, MahavishnuError, Unavailable
from mahavishnu.base.masking import Secret
from tests.peers.conftest import require_peers
from tests.support.secrets_contract import told

pytestmark = pytest.mark.peer
require_peers("oneiric")

from mahavishnu.ai.secrets.oneiric import store as store_module  # noqa: E402
from mahavishnu.ai.secrets.oneiric.lifecycle import Providers  # noqa: E402
from mahavishnu.ai.secrets.oneiric.providers import Adapter, Dates, OpenStore  # noqa: E402
from mahavishnu.ai.secrets.oneiric.stores import CloudStore, Stores  # noqa: E402
from mahavishnu.ai.secrets.reference import parse_reference  # noqa: E402
from tests.support.peers.clouds import aws_store, gcp_store, opened  # noqa: E402

REFERENCE = parse_reference("oneiric:aws/id")


class Broken(Exception):
    """What a cloud's library raises, with a key in its text."""

    def __init__(self) -> None:
        super().__init__("sk-fake-canary")


@dataclass
class Fake:
    """An adapter; counts what is done to it. `lock` keeps it from being copied."""

    text: str | None = "sk-fake"
    on_init: Callable[[], Awaitable[None]] | None = None
    on_get: Callable[[], Awaitable[None]] | None = None
    on_cleanup: Callable[[], Awaitable[None]] | None = None
    lock: Any = field(default_factory=threading.Lock)
    opened: int = 0
    closed: int = 0

    async def init(self) -> None:
        """Open."""
        await asyncio.sleep(0.01)
        if self.on_init:
            await self.on_init()
        self.opened += 1

    async def get_secret(self, _name: str, /) -> str | None:
        """Answer."""
        if self.on_get:
            await self.on_get()
        return self.text

    async def cleanup(self) -> None:
        """Close."""
        self.closed += 1
        if self.on_cleanup:
            await self.on_cleanup()


class World:
    """Stores with fakes behind them, by name; `made` are all that were made."""

    def __init__(self, *stores: CloudStore, timeout_s: float = 5.0, **more: Any) -> None:
        self.stores = Stores(stores, timeout_s=timeout_s, **more)
        self.behind: dict[str, Callable[[], Fake]] = {}
        self.made: dict[str, list[Fake]] = {store.name: [] for store in stores}

    def providers(self, **options: float) -> Providers:
        """Return the lifecycle over them."""
        return Providers(
            self.stores, lambda s, limit_s: OpenStore(s, self.make, limit_s), **options
        )

    async def make(self, store: CloudStore, _dates: Dates) -> Adapter:
        """Make a fake."""
        made = self.behind.get(store.name, Fake)()
        self.made[store.name].append(made)
        return made

    @property
    def open(self) -> list[str]:
        """The names of what is open now."""
        return [name for name, all_ in self.made.items() for each in all_ if not each.closed]


async def fail() -> None:
    raise Broken


async def never() -> None:
    await asyncio.sleep(60)


def one() -> CloudStore:
    return aws_store("http://127.0.0.1:9", "one")


def two() -> CloudStore:
    return aws_store("http://127.0.0.1:9", "two")


async def read(providers: Providers) -> str | None:
    answer = await providers.read("aws", "id")
    return None if answer.text is None else f"{answer.store}:{answer.text.reveal()}"


async def test_many_at_once_open_one_which_is_closed_at_the_end() -> None:
    world = World(one())
    providers = world.providers()
    assert set(await asyncio.gather(*(read(providers) for _ in range(20)))) == {"aws/one:sk-fake"}
    assert [each.opened for each in world.made["one"]] == [1]
    await providers.close()
    await providers.close()
    assert [each.closed for each in world.made["one"]] == [1]
    with pytest.raises(Unavailable):
        await read(providers)


async def test_one_that_is_not_open_in_time_is_closed_and_nothing_runs_on() -> None:
    world = World(one(), timeout_s=0.1)
    world.behind["one"] = lambda: Fake(on_init=never)
    before = asyncio.all_tasks()
    with pytest.raises(Unavailable) as caught:
        await read(world.providers())
    assert caught.value.code == "secret.timeout"
    assert world.open == [] and asyncio.all_tasks() == before


async def test_who_gives_up_waiting_leaves_nothing_open() -> None:
    world = World(one())
    world.behind["one"] = lambda: Fake(on_init=never)
    asking = asyncio.create_task(read(world.providers()))
    await asyncio.sleep(0.05)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert len(world.made["one"]) == 1 and world.open == []


async def test_one_whose_closing_fails_does_not_come_back() -> None:
    """Oneiric would undo the exchange, and go on with what is half closed."""
    world = World(one(), two())
    world.behind["one"] = lambda: Fake("sk-fake-one", on_cleanup=fail)
    providers = world.providers()
    assert await read(providers) == "aws/one:sk-fake-one"
    await providers.follow(Stores(world.stores.all, (("aws", "two"),)))
    assert await read(providers) == "aws/two:sk-fake" and world.open == ["two"]
    assert len(world.made["two"]) == 1


async def test_one_that_is_not_healthy_does_not_come_in_force() -> None:
    """Of what a health check says, Oneiric takes False alone for a no; None and objects are a yes."""
    world = World(one(), two())
    world.behind["two"] = lambda: Fake(on_get=fail)
    providers = world.providers()
    await read(providers)
    await providers.follow(Stores(world.stores.all, (("aws", "two"),)))
    assert await read(providers) == "aws/one:sk-fake" and world.open == ["one"]
    provider = OpenStore(two(), world.make, 1.0)
    await provider.init()
    assert await provider.health() is False
    await provider.cleanup()
    await providers.close()


@pytest.mark.parametrize("fault", [fail, never])
async def test_health_raises_nothing_and_asks_each_once(
    fault: Callable[[], Awaitable[None]],
) -> None:
    world = World(one(), two(), gcp_store("three"), timeout_s=1)
    world.behind["two"] = lambda: Fake(on_get=fault)
    world.behind["three"] = lambda: Fake(on_init=fault)
    healths = {each.name: each for each in await world.providers().health()}
    assert {name: each.status for name, each in healths.items()} == {
        "aws/one": "healthy",
        "aws/two": "unhealthy",
        "gcp/three": "unhealthy",
    }
    assert healths["aws/one"].latency_ms is not None and world.open == []
    assert "canary" not in repr(healths) and "[secret." in healths["aws/two"].message


async def test_a_library_that_raises_shows_nothing_of_its_text(
    capfd: pytest.CaptureFixture[str],
) -> None:
    from mahavishnu.base.logs import set_log_level

    set_log_level("debug")  # Oneiric logs what stops an exchange, with the traceback
    try:
        for behind in (Fake(on_init=fail), Fake(on_get=fail)):
            world = World(one())
            world.behind["one"] = lambda behind=behind: behind
            with pytest.raises(MahavishnuError) as caught:
                await read(world.providers())
            assert caught.value.code == "secret.store_failed" and "Broken" in caught.value.message
            assert "canary" not in told(caught.value)
    finally:
        set_log_level("warning")
    printed = capfd.readouterr()
    assert "swap-failed" in printed.err
    assert printed.out == "" and "canary" not in printed.err


async def test_what_is_missing_is_nothing_and_no_error() -> None:
    world = World(one(), two())
    world.behind["one"] = lambda: Fake(None)
    assert await read(world.providers()) is None
    assert world.made["two"] == []


async def test_a_store_that_fails_while_it_is_in_force_is_exchanged_and_comes_back() -> None:
    world = World(one(), two())
    down = [False]

    async def maybe() -> None:
        if down[0]:
            raise Broken

    world.behind["one"] = lambda: Fake("sk-fake-one", on_get=maybe)
    providers = world.providers(again_s=0.05)
    assert await read(providers) == "aws/one:sk-fake-one"
    down[0] = True
    assert await read(providers) == "aws/two:sk-fake" and world.open == ["two"]
    await asyncio.sleep(0.1)
    assert await read(providers) == "aws/two:sk-fake"  # it is tried, and is not healthy yet
    down[0] = False
    await asyncio.sleep(0.1)
    assert await read(providers) == "aws/one:sk-fake-one" and world.open == ["one"]
    await providers.close()
    assert world.open == []


async def test_where_all_fail_the_error_is_of_the_first_and_none_stays_open() -> None:
    world = World(one(), two())
    world.behind = {"one": lambda: Fake(on_init=never), "two": lambda: Fake(on_init=fail)}
    world.stores = Stores(world.stores.all, timeout_s=0.2)
    with pytest.raises(Unavailable) as caught:
        await read(world.providers())
    assert caught.value.code == "secret.timeout" and "aws/one" in caught.value.message
    assert world.open == []


async def test_a_refusal_is_not_carried_to_another_store() -> None:
    async def refuse() -> None:
        raise Forbidden("no", code="secret.denied")

    world = World(one(), two())
    world.behind["one"] = lambda: Fake(on_get=refuse)
    with pytest.raises(Forbidden):
        await read(world.providers())
    assert world.made["two"] == []


async def test_one_that_refuses_after_it_answered_is_opened_anew_once() -> None:
    """As where its token was rotated: what was read at the opening is out of date."""
    world = World(one())
    refusing: list[bool] = []

    async def refuse() -> None:
        if refusing and len(world.made["one"]) <= refusing.count(True):
            raise Forbidden("no", code="secret.denied")

    world.behind["one"] = lambda: Fake(on_get=refuse)
    providers = world.providers()
    await read(providers)
    refusing.append(True)
    assert await read(providers) == "aws/one:sk-fake"
    assert [each.closed for each in world.made["one"]] == [1, 0]
    refusing += [True, True, True, True]
    with pytest.raises(Forbidden):
        await read(providers)
    assert [each.closed for each in world.made["one"]] == [1, 1, 0]
    await providers.close()
    assert world.open == []


async def test_the_order_is_selection_then_priority_then_that_of_the_settings() -> None:
    high = aws_store("http://127.0.0.1:9", "high", priority=5)
    world = World(one(), two(), high)
    assert [each.name for each in world.providers().explain("aws")] == ["high", "one", "two"]
    world = World(one(), two(), high, selections=(("aws", "two"),))
    providers = world.providers()
    first = providers.explain("aws")[0]
    assert (first.name, first.selected) == ("two", True)
    assert "matched selection override two" in first.reasons
    assert await read(providers) == "aws/two:sk-fake"
    await providers.close()


async def test_a_store_that_the_settings_no_longer_name_is_not_gone_back_to() -> None:
    world = World(one())
    providers = world.providers()
    await read(providers)
    world.made["other"] = []
    world.behind["other"] = lambda: Fake(on_init=fail)
    await providers.follow(Stores((aws_store("http://127.0.0.1:9", "other"),)))
    assert world.open == []
    with pytest.raises(Unavailable):
        await read(providers)


def test_a_library_that_blocks_does_not_hold_up_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    released, done = threading.Event(), threading.Event()

    async def block() -> None:
        """Do what a client does that reads credentials from a slow disk."""
        released.wait(60)
        done.set()

    monkeypatch.setattr(store_module, "_SLACK_S", 0.1)
    made = Fake(on_init=block)

    async def make(_store: CloudStore, _dates: Dates) -> Adapter:
        return made

    with opened(one(), timeout_s=0.2, make=make) as store:
        with pytest.raises(Unavailable) as caught:
            store.read(REFERENCE)
        assert caught.value.code == "secret.timeout"
        assert [each.status for each in store.health()] == ["unhealthy"]
        assert not done.is_set()
        released.set()
    assert made.closed == 1
    assert not [each for each in threading.enumerate() if each.name == "oneiric"]


def test_a_store_is_closed_with_its_thread_and_by_an_error_too() -> None:
    made = Fake()

    async def make(_store: CloudStore, _dates: Dates) -> Adapter:
        return made

    with pytest.raises(KeyError), opened(one(), make=make) as store:
        assert store.read(REFERENCE).reveal() == "sk-fake"
        raise KeyError
    assert (made.opened, made.closed) == (1, 1)
    assert not [each for each in threading.enumerate() if each.name == "oneiric"]
    assert "sk-fake" not in repr(Secret("sk-fake"))
