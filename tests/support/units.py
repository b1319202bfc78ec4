"""Units of a test's own: shell programs that are cheap to run, and a supervisor over them."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from mahavishnu.base.processes import ProcessIdentity, identify
from mahavishnu.services.events.journal import Event, EventJournal
from mahavishnu.services.schedule.pause import PauseFile
from mahavishnu.services.supervision.files import RunRecord
from mahavishnu.services.supervision.own_backend import OwnBackend, UnitEnvironment
from mahavishnu.services.supervision.policy import Backoff
from mahavishnu.services.supervision.probing import Prober
from mahavishnu.services.supervision.supervisor import Supervisor
from mahavishnu.services.units.unit import HealthCheck, Unit

BACKOFF = Backoff(first_s=0.02, limit=3)
LOOK_EVERY_S = 0.02
SECRET = "canary-value-of-a-secret"


def shell(name: str, script: str, **fields: Any) -> Unit:
    """Return a unit that a shell runs."""
    return Unit(name=name, command=("sh", "-c", script), **{"grace_s": 5.0, **fields})


def sleeper(name: str, **fields: Any) -> Unit:
    """Return a unit that runs until it is asked to end."""
    return Unit(name=name, command=("sleep", "1000"), **{"grace_s": 5.0, **fields})


def checked_by(script: str, **fields: Any) -> HealthCheck:
    """Return a health check that a shell makes, often."""
    return HealthCheck(command=("sh", "-c", script), **{"interval_s": 0.02, **fields})


def environment_of(unit: Unit) -> UnitEnvironment:
    """Return the variables of a unit of a test; `KEY` is secret."""
    variables = dict(entry.split("=", 1) for entry in unit.environment)
    return UnitEnvironment({"PATH": os.environ["PATH"], **variables}, (variables.get("KEY", ""),))


@dataclass
class Supervising:
    """A folder with units and what supervises them."""

    folder: Path
    units: dict[str, Unit] = field(default_factory=dict)
    alone_s: float = 60.0

    def define(self, *units: Unit) -> None:
        """Let the settings have these units too."""
        self.units |= {each.name: each for each in units}

    @property
    def backend(self) -> OwnBackend:
        """The backend of now, as any process has it."""
        return OwnBackend(self.folder / "services", environment_of, alone_s=self.alone_s)

    @property
    def pause(self) -> PauseFile:
        """Whether automatic acts rest."""
        return PauseFile(self.folder)

    def make(self) -> Supervisor:
        """Return a supervisor that does not run yet."""
        return Supervisor(
            self.backend,
            Prober({"PATH": os.environ["PATH"]}),
            EventJournal(self.folder),
            read_units=lambda: dict(self.units),
            find_pause=lambda: self.pause.read(datetime.now(UTC)),
            backoff=BACKOFF,
            look_every_s=LOOK_EVERY_S,
        )

    @contextlib.asynccontextmanager
    async def running(self, *, settled: bool = True) -> AsyncIterator[Supervisor]:
        """Run a supervisor, as a daemon does from its start to its end in order; once all first starts are over."""
        supervisor = self.make()
        life = asyncio.create_task(supervisor.run())
        try:
            await comes_true(lambda: supervisor.ready or life.done())
            if life.done():
                life.result()
            if settled:
                await asyncio.gather(*supervisor.first_starts.values())
            yield supervisor
        finally:
            life.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await life

    def process(self, name: str) -> ProcessIdentity:
        """Return the process of a unit that runs."""
        record = RunRecord.read(self.backend.files.record(name))
        assert record is not None and record.ended is None, record
        return record.unit

    def runner(self, name: str) -> ProcessIdentity:
        """Return the runner of a unit."""
        record = RunRecord.read(self.backend.files.record(name))
        assert record is not None
        return record.runner

    def events(self, what: str = "") -> list[Event]:
        """Return the automatic acts whose names begin so."""
        found = EventJournal(self.folder).read(limit=1000)
        return [each for each in found if each.what.startswith(what)]


async def comes_true(condition: Callable[[], object], timeout_s: float = 60.0) -> None:
    """Wait for what other processes do."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - they tell nobody
            await asyncio.sleep(0.01)


def family(process: ProcessIdentity) -> list[ProcessIdentity]:
    """Return a process and what it started."""
    children = psutil.Process(process.pid).children(recursive=True)
    return [process, *(each for pid in children if (each := identify(pid.pid)) is not None)]
