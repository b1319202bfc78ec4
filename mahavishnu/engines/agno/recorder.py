"""What runs of agents said, written down in the background: an agent never waits for it."""

import asyncio
import contextlib
import threading
from concurrent.futures import Future
from typing import Any

from mahavishnu.base.errors import MahavishnuError, Unavailable, UsageError
from mahavishnu.base.logs import get_logger
from mahavishnu.engines.agno.turns import turns_of
from mahavishnu.engines.background import BackgroundApp
from mahavishnu.memory.conversations import NewTurn

MAX_WAITING = 1_000  # runs that wait while the memory is away; beyond, the oldest is given up
FIRST_PAUSE_S, LAST_PAUSE_S = 0.5, 30.0  # between attempts
_log = get_logger(__name__)


class TurnRecorder:
    """Takes runs as an agent stores them, and appends them to their sessions; of one run the last state."""

    def __init__(self, background: BackgroundApp, *, project: str | None) -> None:
        self._background = background
        self._project = project
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str], list[NewTurn]] = {}
        self._writing: Future[None] | None = None
        self._lost = 0

    def note(self, run: Any, session_id: str, user_id: str | None) -> None:
        """Take the state of a run, and go on; what cannot be recorded is logged."""
        try:
            turns = turns_of(run, session_id, user_id=user_id, project=self._project)
        except (AttributeError, TypeError, ValueError) as error:  # a kind of run that Agno adds
            _log.warning("run_not_understood", kind=type(run).__name__, problem=str(error))
            return
        if turns:
            self._put((session_id, run.run_id), turns)

    def finish(self, timeout_s: float) -> int:
        """Wait until all is written, at most so long; returns how many runs were not."""
        with self._lock:
            writing = self._writing
        if writing is not None:
            with contextlib.suppress(TimeoutError):
                writing.exception(timeout_s)
        with self._lock:
            return len(self._waiting) + self._lost

    def _put(self, key: tuple[str, str], turns: list[NewTurn]) -> None:
        with self._lock:
            self._waiting[key] = turns
            if len(self._waiting) > MAX_WAITING:
                del self._waiting[next(iter(self._waiting))]
                self._lost += 1
            if self._writing is None or self._writing.done():
                try:
                    self._writing = self._background.begin(self._write)
                except UsageError as error:  # it is closed
                    _log.warning("run_not_recorded", code=error.code, problem=error.message)

    async def _write(self) -> None:
        """Write what waits until nothing does; while the memory is away, try again with longer pauses."""
        pause_s = FIRST_PAUSE_S
        while (found := self._next()) is not None:
            key, turns = found
            try:
                app = await self._background.opened()
                await app.conversations.append(turns, run_id=key[1])
            except Unavailable as error:
                _log.warning("runs_wait", runs=len(self._waiting), problem=error.message)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LAST_PAUSE_S)
                continue
            except MahavishnuError as error:
                _log.warning("run_not_recorded", code=error.code, problem=error.message)
            pause_s = FIRST_PAUSE_S
            with self._lock:
                if self._waiting.get(key) is turns:
                    del self._waiting[key]

    def _next(self) -> tuple[tuple[str, str], list[NewTurn]] | None:
        with self._lock:
            found = next(iter(self._waiting.items()), None)
            if found is None:
                self._writing = None
            return found
