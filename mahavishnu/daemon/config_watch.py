"""The daemon's watch over settings: what others change there is an event, and the services it affects restart."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from mahavishnu.app import App
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.logs import get_logger
from mahavishnu.operations.ai.watched_files import OWN, affected_units, watched_files
from mahavishnu.services.events.journal import FailureStreak
from mahavishnu.services.schedule.pause import Pause
from mahavishnu.services.watch.changes import FileChanged, WatchedFile, WatchedSettings
from mahavishnu.services.watch.hints import hints

LOOK_EVERY = timedelta(minutes=1)
REST_S = 5.0  # after a change: a storm of writes is one event in this time
_log = get_logger(__name__)

# Restarts the named units, waits until they are healthy, and raises `MahavishnuError` where they are not.
type RestartUnits = Callable[[Sequence[str]], Awaitable[object]]


async def restart_nothing(_: Sequence[str]) -> None:
    """Restart no unit: nothing here supervises any."""


class ConfigWatch:
    """Follows the files for as long as the daemon runs; what a pause holds is restarted after it."""

    def __init__(self, app: App, restart: RestartUnits = restart_nothing) -> None:
        self._app = app
        self._restart = restart
        self._settings = WatchedSettings()
        self._broken: dict[str, FailureStreak] = {}
        self._waiting: tuple[str, ...] = ()
        self._shown: tuple[Pause, tuple[str, ...]] | None = None

    async def run(self) -> None:
        """Watch, for ever."""
        loaded = self._app.loaded
        find = partial(watched_files, loaded)
        looks = hints(lambda: [each.path for each in find()], every=LOOK_EVERY)
        async with contextlib.aclosing(looks):
            async for _ in looks:
                if await self.look(await asyncio.to_thread(find)):
                    await asyncio.sleep(REST_S)

    async def look(self, files: Sequence[WatchedFile]) -> bool:
        """Record what was changed, and restart what that affects; returns whether something was."""
        changes = await asyncio.to_thread(self._settings.look, files)
        for change in changes:
            await self._record(change)
        with contextlib.suppress(OSError):  # whether to rest cannot be read: at the next look
            await self._restart_affected()
        return bool(changes)

    async def _record(self, change: FileChanged) -> None:
        name, events = change.file.name, self._app.events
        streak = self._broken.setdefault(name, FailureStreak(events, f"config.broken {name}"))
        if change.error is not None:
            await streak.failed(change.error)
            return
        await streak.worked()
        if not change.keys:
            return
        try:
            more = await asyncio.to_thread(change.file.describe, change.keys)
        except MahavishnuError as error:
            more = error.message
        after = "; ".join(filter(None, (change.named, more)))
        why = f"{change.file.path} was changed."
        await asyncio.to_thread(events.record, f"config.changed {name}", why, after)
        if name.startswith(OWN):
            self._waiting = tuple(dict.fromkeys((*self._waiting, *affected_units(change.keys))))

    async def _restart_affected(self) -> None:
        """Restart the units that wait for it, unless automatic acts rest."""
        if not self._waiting:
            return
        units, events = self._waiting, self._app.events
        names = ", ".join(units)
        what = f"config.restart {names}"
        paused = await asyncio.to_thread(self._app.pause.read, datetime.now(UTC))
        if paused is not None:
            if paused.dry_run and self._shown != (paused, units):
                self._shown = (paused, units)
                await asyncio.to_thread(
                    events.record, what, "mahavishnu pause --dry-run",
                    f"{names} would be restarted.", skipped=True,
                )  # fmt: skip
            return
        self._waiting, why = (), f"The settings of {names} were changed."
        try:
            await self._restart(units)
        except MahavishnuError as error:
            _log.warning("restart_failed", units=units, code=error.code)
            await asyncio.to_thread(events.record, what, why, error=error)
        else:
            await asyncio.to_thread(events.record, what, why, f"{names} restarted")
