"""Run jobs as the tasks of one flow: Prefect's concurrency and retries, Dask where `prefect_dask` is there."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import wait
from prefect.states import Cancelled, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from mahavishnu.engines.prefect.report import REPOSITORY_TAG
from mahavishnu.engines.prefect.server import server_url


def run_tasks(
    name: str, run_one: Callable[[Any], Any], jobs: Sequence[Any], *, at_once: int, retries: int
) -> list[Any]:
    """
    Run each job as a task of the flow `name`, so many at once; return how they ended, None for a lost one.

    A job has a `name`; what `run_one` returns of it has a `code`, 0 for a success, and `stopped`. All can be
    pickled: another process may run the task. A job that fails is run again, one that was stopped is not.

    Raises:
        Unavailable: `prefect.no_server`.
    """
    server_url()
    ended: list[Any] = []

    def run_all() -> Any:
        one = task(_perform, name=name, retries=retries, cache_policy=NO_CACHE)
        futures = []
        for job in jobs:
            each = one.with_options(task_run_name=job.name, tags=[f"{REPOSITORY_TAG}{job.name}"])
            futures.append(each.submit(run_one, job))
        wait(futures)
        for future in futures:
            result = future.state.result(raise_on_failure=False)
            ended.append(None if isinstance(result, Exception) else result)
        return futures  # the flow ends as they do

    by_all = flow(name=name, task_runner=_task_runner(at_once), validate_parameters=False)(run_all)
    by_all(return_state=True)
    return ended


def _perform(run_one: Callable[[Any], Any], job: Any) -> Any:
    ended = run_one(job)
    if ended.stopped:
        return Cancelled(message="It was stopped.", data=ended)
    if ended.code:
        return Failed(message=f"It ended with exit code {ended.code}.", data=ended)
    return ended


def _task_runner(at_once: int) -> Any:
    if find_spec("prefect_dask") is None:
        return ThreadPoolTaskRunner(max_workers=at_once)
    from prefect_dask import DaskTaskRunner  # noqa: PLC0415 - optional

    cluster = {
        "n_workers": 1, "threads_per_worker": at_once, "dashboard_address": "127.0.0.1:0",
        "preload": "import os\nos.setpgrp()\n",  # Ctrl-C is not for the worker, which it would end
    }  # fmt: skip
    return DaskTaskRunner(cluster_kwargs=cluster)
