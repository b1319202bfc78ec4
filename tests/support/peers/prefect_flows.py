"""Flows as a user has them, with the recorder for their hooks; run by name, in a process of their own."""

import os
import signal
import sys
import time
from pathlib import Path

from prefect import flow, serve, task

from mahavishnu.engines.prefect import Recorder

recorder = Recorder(repositories=["shop"], wait_at_exit_s=30)


@task(**recorder.task_hooks)
def count(rows: int) -> int:
    return rows


@flow(**recorder.flow_hooks)
def completes(repo: str) -> dict[str, int]:
    return {"rows": sum(count(rows) for rows in (1, 2))}


@flow(**recorder.flow_hooks)
def gives_an_object() -> object:
    return {"made": {1, 2}}


@flow(**recorder.flow_hooks)
def fails() -> None:
    raise OSError("No space left on device")


attempts: list[int] = []


@flow(**recorder.flow_hooks, retries=1)
def succeeds_again() -> None:
    attempts.append(1)
    if len(attempts) == 1:
        raise OSError("once")


@flow(**recorder.flow_hooks)
def is_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@flow(**recorder.flow_hooks)
def goes_on() -> None:
    while True:
        time.sleep(0.1)


@flow
def untouched(repo: str, until: str = ".") -> None:
    while not Path(until).exists():
        time.sleep(0.1)
    raise ValueError("nobody hooked this")


@flow
def checks(repository: str) -> None:
    if "shop" in repository:
        raise ValueError("the till is open")


def several() -> None:
    """Run those that end by themselves."""
    completes("api")
    gives_an_object()
    for failing in (fails, succeeds_again):
        try:
            failing()
        except OSError as error:
            print("failed:", error)


if __name__ == "__main__":
    name, *words = sys.argv[1:]
    if name == "serve":
        served = [each.to_deployment("served") for each in (goes_on, checks)]
        serve(*served, pause_on_shutdown=False)
    else:
        globals()[name](*words)
