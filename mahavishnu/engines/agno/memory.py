"""What an agent of Agno gets: a recorder of its runs, tools to remember and recall, a knowledge base."""

import atexit
import concurrent.futures.thread  # noqa: F401 - what it does at the end comes after what is registered later
import threading
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from mahavishnu.base.extras import require_installed
from mahavishnu.base.logs import get_logger
from mahavishnu.engines.agno.recorder import TurnRecorder
from mahavishnu.engines.background import BackgroundApp

if TYPE_CHECKING:
    from mahavishnu.engines.agno.knowledge import MemoryKnowledge
    from mahavishnu.engines.agno.tools import MemoryTools

_log = get_logger(__name__)


class AgentMemory(AbstractContextManager["AgentMemory"]):
    """
    The memory of agents, in `project` or in none; one for as many agents as there are.

    It works in a thread of its own, and opens the database when it is first used. It closes as the program
    ends, or as a context manager at the end of the block; what was recorded is written then.

    Raises:
        Unavailable: `engine.not_installed`, Agno is not there.
    """

    def __init__(self, *, project: str | None = None) -> None:
        require_installed("agno")
        self._project = project
        self._closed = False
        self._background = BackgroundApp("agno")
        self._recorder = TurnRecorder(self._background, project=project)
        # Not `atexit` alone, which is too late: no thread takes work then, and the database needs one.
        getattr(threading, "_register_atexit", atexit.register)(self.close)

    def recorded[D](self, db: D) -> D:
        """
        Return a database of Agno's, of any kind, that from now on hands its runs on to be recorded.

        An agent stores its runs in it however they end. What it keeps itself stays as it was.
        """
        store: Any = db
        upsert_run = store.upsert_run

        def record_and_upsert(
            run: Any, session_id: str, user_id: str | None = None, run_index: int | None = None
        ) -> Any:
            self._recorder.note(run, session_id, user_id)
            return upsert_run(run=run, session_id=session_id, user_id=user_id, run_index=run_index)

        store.upsert_run = record_and_upsert
        return db

    def tools(self) -> "MemoryTools":
        """Return the toolkit with `remember` and `recall`."""
        from mahavishnu.engines.agno.tools import MemoryTools  # noqa: PLC0415 - needs Agno

        return MemoryTools(self._background, project=self._project)

    def knowledge(self, name: str = "knowledge") -> "MemoryKnowledge":
        """Return the vector database for a `Knowledge`: documents under `name`, found by our search."""
        from mahavishnu.engines.agno.knowledge import MemoryKnowledge  # noqa: PLC0415 - needs Agno

        return MemoryKnowledge(self._background, name=name, project=self._project)

    def flush(self, *, timeout_s: float = 10) -> bool:
        """Wait until all that was recorded is written, at most so long; returns whether it is."""
        return self._recorder.finish(timeout_s) == 0

    def close(self, *, timeout_s: float = 10) -> None:
        """Write what was recorded, at most so long, and close; logs how many runs were lost."""
        if self._closed:
            return
        self._closed = True
        lost = self._recorder.finish(timeout_s)
        if lost:
            _log.warning("runs_lost", runs=lost)
        self._background.close()

    def __exit__(self, *_: object) -> None:
        self.close()
