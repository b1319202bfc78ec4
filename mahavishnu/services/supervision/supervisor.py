"""The daemon's supervision: which units are to run, from its start to its end, and what people ask of them."""

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mahavishnu.base.daemon.record import translated_files
from mahavishnu.base.errors import Conflict, MahavishnuError, Unavailable
from mahavishnu.base.logs import get_logger
from mahavishnu.base.paths import private_folder
from mahavishnu.services.events.journal import EventJournal
from mahavishnu.services.schedule.pause import Pause
from mahavishnu.services.supervision.acts import Acts, UnitOutcome
from mahavishnu.services.supervision.own_backend import OwnBackend
from mahavishnu.services.supervision.policy import Backoff
from mahavishnu.services.supervision.probing import Prober
from mahavishnu.services.supervision.unit_events import UnitEvents
from mahavishnu.services.supervision.wanted import WantedUnits
from mahavishnu.services.supervision.watching import UnitWatch, Watched
from mahavishnu.services.units.order import order_units
from mahavishnu.services.units.unit import Unit

LOOK_EVERY_S = 1.0
LEASE_PATIENCE_S = 2.0  # runners look at it, each for an instant
BEGIN_PATIENCE_S = 60.0  # that who asks for something waits until it begins
_log = get_logger(__name__)


class _Act(Protocol):
    async def __call__(self, unit: Unit) -> UnitOutcome: ...


class Supervisor:
    """
    Keeps the units of one state folder running; `run` is its life, and `start`, `stop` and `restart` are for then.

    `read_units` returns the units that the settings have now.
    """

    def __init__(
        self,
        backend: OwnBackend,
        prober: Prober,
        journal: EventJournal,
        *,
        read_units: Callable[[], Mapping[str, Unit]],
        find_pause: Callable[[], Pause | None],
        backoff: Backoff | None = None,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self.backend = backend
        self.acts = Acts(backend, prober)
        self.units: Mapping[str, Unit] = {}
        self.wanted = WantedUnits(backend.files.wanted)
        self.watched: dict[str, Watched] = {}
        self._events = UnitEvents(journal)
        self._watch = UnitWatch(
            self.acts, self.wanted, self._events, find_pause, backoff or Backoff()
        )
        self._read_units = read_units
        self._find_pause = find_pause
        self._look_every_s = look_every_s
        self._tasks: asyncio.TaskGroup | None = None
        self._begun: asyncio.Event | None = None  # from the beginning of `run` to its end
        self.first_starts: dict[str, asyncio.Task[None]] = {}  # the start of a unit with the daemon
        self._asked: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """
        Keep units running until this is cancelled; those that are not detached are stopped then.

        Raises:
            Conflict: `service.supervised`, another daemon keeps the same units.
            MahavishnuError: the settings cannot be read, or the folder cannot be used.
        """
        begun = self._begun = asyncio.Event()
        try:
            await self._reload()
            await self._keep(begun)
        finally:
            self._begun = None
            begun.set()

    async def _keep(self, begun: asyncio.Event) -> None:
        async with self._lease(), asyncio.TaskGroup() as tasks:
            looks: dict[str, asyncio.Task[None]] = {}
            try:
                for unit, why in await self._begin():
                    self.first_starts[unit.name] = tasks.create_task(self._start_first(unit, why))
                self._tasks = tasks
                begun.set()
                while True:
                    for name in {*self.units, *self.backend.known()} - looks.keys():
                        looks[name] = tasks.create_task(self._look_at(name))
                    await asyncio.sleep(self._look_every_s)
            finally:
                self._tasks = None
                ending = [*looks.values(), *self.first_starts.values(), *self._asked]
                for each in ending:
                    each.cancel()
                await asyncio.gather(
                    *ending, return_exceptions=True
                )  # a start ends before its stop
                await self._end()

    @property
    def ready(self) -> bool:
        """Whether acts can be asked for; the first units may still be starting."""
        return self._tasks is not None

    async def start(self, names: Sequence[str]) -> list[UnitOutcome]:
        """Start units, after what they depend on, and keep them running; raises as `order_units`."""
        return await self._ask(self._in_turn(names, self.acts.start, wanted=True, needed=True))

    async def stop(self, names: Sequence[str]) -> list[UnitOutcome]:
        """Stop units, those that depend on others first; they stay so until somebody starts them."""
        return await self._ask(self._in_turn(names, self.acts.stop, wanted=False, needed=False))

    async def restart(self, names: Sequence[str]) -> list[UnitOutcome]:
        """Restart units, after what they depend on."""
        return await self._ask(self._in_turn(names, self.acts.restart, wanted=True, needed=False))

    def stays_stopped(self, name: str) -> bool:
        """Tell whether somebody stopped a unit, and nobody started it since."""
        return self._watched(name).stopped

    async def _ask(self, work: Coroutine[None, None, list[UnitOutcome]]) -> list[UnitOutcome]:
        """Do what was asked for to its end, also where who asked has gone; what comes too early waits."""
        if self._begun is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._begun.wait(), BEGIN_PATIENCE_S)
        if self._tasks is None:
            work.close()
            raise Unavailable(
                "The daemon does not supervise services at this moment.",
                hint="Try again; if that lasts: mahavishnu events",
                code="service.not_supervised",
            )
        results: asyncio.Future[list[UnitOutcome]] = asyncio.get_running_loop().create_future()

        async def finish() -> None:
            try:
                found = await work
            except Exception as error:  # noqa: BLE001 - it is raised where it was asked for
                if not results.done():
                    results.set_exception(error)
            else:
                if not results.done():
                    results.set_result(found)

        task = self._tasks.create_task(finish())
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)
        task.add_done_callback(lambda _: results.cancel())
        return await results

    async def _in_turn(
        self, names: Sequence[str], act: _Act, *, wanted: bool, needed: bool
    ) -> list[UnitOutcome]:
        await self._reload()
        try:
            order = order_units(self.units, names, needed=needed)
        except MahavishnuError:  # a cycle, or a unit that was removed, is in the way of no stop
            if wanted:
                raise
            order = list(names)
        outcomes = []
        for name in order if wanted else reversed(order):
            if wanted and name in self.first_starts:
                await asyncio.wait({self.first_starts[name]})
            unit = self.units.get(name) or self._definition(name)
            watched = self._watched(name)
            async with watched.turn:
                missing = self._watch.find_missing(unit, self.units) if wanted else ""
                if missing:
                    state = self.backend.state(name).state
                    outcome = UnitOutcome(
                        name=name, outcome="left", before=state, after=state, reason=missing
                    )
                else:
                    self.wanted.change(name, wanted=wanted and bool(unit.command))
                    outcome = await act(unit)
                    watched.take(outcome)
                    watched.stopped = not wanted
            outcomes.append(outcome)
        return outcomes

    @contextlib.asynccontextmanager
    async def _lease(self) -> AsyncIterator[None]:
        files = self.backend.files
        with translated_files(files.folder):
            private_folder(files.folder)
            descriptor = os.open(files.lease, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            until = time.monotonic() + LEASE_PATIENCE_S
            while not _lock(descriptor):
                if time.monotonic() >= until:
                    raise Conflict(
                        "Another daemon supervises the services of this state folder.",
                        hint="End it, or give this one a MAHAVISHNU_HOME of its own.",
                        code="service.supervised",
                    )
                await asyncio.sleep(0.01)
            yield
        finally:
            os.close(descriptor)

    async def _reload(self) -> None:
        self.units = await asyncio.to_thread(self._read_units)

    async def _begin(self) -> list[tuple[Unit, str]]:
        """Take over what runs, and end what a killed runner left; returns what is to be started, and why."""
        await self._events.read_failed()
        running = set()
        for name in self.backend.known():
            state = self.backend.state(name)
            if state.state == "running":
                _log.info("service_adopted", name=name, pid=state.pid)
                running.add(name)
            elif state.state == "stale":
                await self.backend.stop(self._definition(name))
                await self._events.record("clear", name, state.why, "stopped", before="stale")
        earlier = self.wanted.read()
        enabled = {each.name for each in self.units.values() if each.enabled and each.command}
        before = enabled if earlier is None else earlier & self.units.keys()
        why = "It is enabled." if earlier is None else "It was to run when the daemon was killed."
        reasons: dict[str, str] = {}
        for name in sorted(before):
            try:
                order = order_units(self.units, [name], needed=True)
            except MahavishnuError as error:
                watched = self._watched(name)
                watched.gave_up, watched.problem = True, error.message
                await self._events.record_failure("start", name, why, error, after="stopped")
            else:
                needed = {each: f"{name} depends on it." for each in order if each not in before}
                reasons = {**needed, **reasons, name: why}
        self.wanted.set(before | running | {name for name in reasons if self.units[name].command})
        return [(self.units[name], why) for name, why in reasons.items()]

    async def _start_first(self, unit: Unit, why: str) -> None:
        """Start a unit with the daemon, once what it depends on was; others do not wait for it."""
        watched = self._watched(unit.name)
        if unit.depends_on:
            watched.held, watched.problem = True, f"It waits for {', '.join(unit.depends_on)}."
            await asyncio.wait([self.first_starts[name] for name in unit.depends_on])
        with self._isolated(unit.name, watched):
            async with watched.turn:
                watched.held, watched.problem = False, ""
                state = self.backend.state(unit.name)
                if unit.name not in self.wanted or state.state == "running":
                    return  # it was stopped meanwhile, started, or taken over
                missing = self._watch.find_missing(unit, self.units)
                paused = await asyncio.to_thread(self._find_pause)
                if missing or paused:
                    watched.held, watched.problem = True, missing or why
                    return
                outcome = await self.acts.start(unit)
                watched.take(outcome)
                await self._events.record_outcome("start", outcome, why)

    async def _look_at(self, name: str) -> None:
        """Look at one unit, for ever."""
        if name in self.first_starts:
            await asyncio.wait({self.first_starts[name]})
        while True:
            watched = self._watched(name)
            if not watched.turn.locked():
                with self._isolated(name, watched):
                    async with watched.turn:
                        await self._look(name, watched)
            await asyncio.sleep(self._look_every_s)

    @contextlib.contextmanager
    def _isolated(self, name: str, watched: Watched) -> Iterator[None]:
        """Keep a fault of one unit from the others."""
        try:
            yield
        except MahavishnuError as error:
            watched.problem = error.message
            _log.info("service_waits", name=name, code=error.code, reason=error.message)
        except Exception:  # noqa: BLE001 - the other units go on
            _log.error("service_not_watched", name=name, exc_info=True)

    async def _look(self, name: str, watched: Watched) -> None:
        if name in self.units:
            await self._watch.look(self.units[name], watched, self.units)
        elif self.backend.keeps(name):
            if await asyncio.to_thread(self._find_pause):
                return
            await self.backend.stop(self._definition(name))
            self.wanted.change(name, wanted=False)
            await self._events.record("stop", name, "The settings have it no more.", "stopped")

    async def _end(self) -> None:
        """Stop all but what is detached."""
        kept = filter(self.backend.keeps, self.backend.known())
        running = [self._definition(name) for name in kept]
        stopping = (self.backend.stop(each) for each in running if not each.detached)
        await asyncio.gather(*stopping, return_exceptions=True)
        self.wanted.forget()

    def _definition(self, name: str) -> Unit:
        known = self.backend.state(name).definition or self.units.get(name)
        return known or Unit(name=name, command=())

    def _watched(self, name: str) -> Watched:
        return self.watched.setdefault(name, Watched())


@dataclass
class Supervision:
    """What supervises in this process: nothing outside of the daemon."""

    supervisor: Supervisor | None = None


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
