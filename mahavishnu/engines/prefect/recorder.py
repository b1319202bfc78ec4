"""State hooks for flows and tasks: a callable object that hands on what happened, in microseconds."""

import json
from collections.abc import Sequence
from typing import Any

from mahavishnu.engines.prefect.report import STATUS, report_of
from mahavishnu.engines.prefect.writer import open_writer

# `on_cancellation` is called while a run is being cancelled, after its process was ended; no hook follows.
STATUS_IN_HOOKS = {**STATUS, "CANCELLING": "cancelled"}


class Recorder:
    """
    Records the runs of the flows and tasks that it is a hook of.

    `@flow(**recorder.flow_hooks)` and `@task(**recorder.task_hooks)` set all hooks. What is not in
    `repositories` can be said by a run: by a tag `repo:NAME` or a parameter `repo`. `results=False`
    keeps what flows return out of the records. `wait_at_exit_s` lets the process wait at its end
    until all is recorded, at most so long: for a container that ends with it.

    A hook never waits for a database, and fails without a trace in the flow: a process of its own
    writes, and what it cannot write is named in `recorder.log` (see `mahavishnu workflow record --lines`).
    """

    def __init__(
        self,
        *,
        repositories: Sequence[str] = (),
        project: str | None = None,
        results: bool = True,
        wait_at_exit_s: float = 0,
    ) -> None:
        if isinstance(repositories, str):
            repositories = (repositories,)
        self._repositories = tuple(repositories)
        self._project = project
        self._results = results
        self._wait_at_exit_s = wait_at_exit_s

    @property
    def task_hooks(self) -> dict[str, "list[Recorder]"]:
        """Arguments for `@task(...)`."""
        return {name: [self] for name in ("on_running", "on_completion", "on_failure")}

    @property
    def flow_hooks(self) -> dict[str, "list[Recorder]"]:
        """Arguments for `@flow(...)`."""
        return {**self.task_hooks, "on_cancellation": [self], "on_crashed": [self]}

    def __call__(self, flow: Any, flow_run: Any, state: Any) -> None:
        """Hand on that a run of a flow or task is in a state; Prefect's runner passes these by name."""
        report = report_of(
            flow_run,
            state,
            workflow=flow.name,
            statuses=STATUS_IN_HOOKS,
            repositories=self._repositories,
            project=self._project,
            result=_result_of(state) if self._results else None,
        )
        line = json.dumps(report).encode() + b"\n"
        open_writer().send(line, wait_at_exit_s=self._wait_at_exit_s)


def _result_of(state: Any) -> object:
    """Return what a flow gave, where this process still has it: a state holds it in a record."""
    data = getattr(state, "data", None)
    return getattr(data, "result", None)
