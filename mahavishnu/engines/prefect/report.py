"""From a run of Prefect to the report that `record_execution` takes. Pure; attributes of Prefect's models only."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mahavishnu.memory.checks import MAX_NAME_LENGTH, clean_name, clean_text

ADAPTER = "prefect"
# By the type of Prefect's state. One that is paused or being cancelled has not ended.
STATUS = {
    "SCHEDULED": "pending", "PENDING": "pending", "RUNNING": "running", "PAUSED": "running",
    "CANCELLING": "running", "COMPLETED": "completed", "FAILED": "failed",
    "CANCELLED": "cancelled", "CRASHED": "crashed",
}  # fmt: skip
UNENDED = {"pending", "running"}
REPOSITORY_TAG = "repo:"
REPOSITORY_PARAMETERS = ("repo", "repos", "repository", "repositories")
_PREAMBLE = re.compile(r"(Flow|Task) run encountered an exception:?\s*")  # of Prefect's messages
MAX_ERROR = 10_000
MAX_RESULT = 16_384  # characters, so that a hook stays below a few milliseconds
MAX_DEPTH = 50
MAX_INTEGER_BITS = 4_096  # Python writes no number of more than 4,300 digits


def report_of(
    run: Any,
    state: Any,
    *,
    workflow: str,
    statuses: Mapping[str, str] = STATUS,
    repositories: Iterable[str] = (),
    project: str | None = None,
    result: object = None,
) -> dict[str, Any]:
    """
    Return the report of a flow or task run in a state: the fields of `record_execution`.

    A run is known by its id alone. It starts when it first ran: a retry within it is the same
    execution. Repositories are also those of tags such as `repo:shop`, and of parameters such as `repo`.
    """
    status = statuses[state.type.value]
    started = run.start_time or state.timestamp
    named = {*repositories, *_repositories_of(run)}
    report: dict[str, Any] = {
        "execution_id": str(run.id),
        "workflow_id": clean_name(workflow) or "unnamed",
        "adapter": ADAPTER,
        "status": status,
        "started_at": started.isoformat(),
        "repositories": sorted(filter(None, map(clean_name, named))),
        "project": project,
        "metadata": _metadata_of(run, state),
    }
    if status not in UNENDED:
        report["finished_at"] = max(state.timestamp, started).isoformat()
    if status not in UNENDED and status != "completed":
        report["error"] = clean_text(_PREAMBLE.sub("", state.message or ""))[:MAX_ERROR] or None
    if status == "completed":
        report["result"] = plain_result(result)
    return report


def plain_result(value: object) -> dict[str, Any] | None:
    """Return a result as a JSON object of bounded size; another value is named by its type."""
    if value is None:
        return None
    try:
        left = _measure(value, MAX_RESULT, MAX_DEPTH)
    except TypeError:
        return {"omitted": f"{type(value).__name__} is not JSON"[:MAX_NAME_LENGTH]}
    if left < 0:
        return {"omitted": f"more than {MAX_RESULT:,} characters"}
    return value if isinstance(value, dict) else {"value": value}


def _measure(value: object, room: int, depth: int) -> int:
    """Return the room that is left beside a value, below 0 for none; raises TypeError for what is not JSON."""
    if room < 0:
        return room
    if depth == 0:
        raise TypeError
    if value is None or isinstance(value, bool):
        return room - 5
    if isinstance(value, str):
        if len(value) <= room and clean_text(value) != value:
            raise TypeError
        return room - len(value) - 2
    if isinstance(value, int):
        if value.bit_length() > MAX_INTEGER_BITS:
            raise TypeError
        return room - value.bit_length() // 3 - 2
    if isinstance(value, float) and math.isfinite(value):
        return room - 24
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError
        parts: Iterable[object] = (part for pair in value.items() for part in pair)
    elif isinstance(value, list):
        parts = value
    else:
        raise TypeError
    for part in parts:
        room = _measure(part, room - 2, depth - 1)
        if room < 0:
            break
    return room


def _repositories_of(run: Any) -> Iterator[str]:
    for tag in run.tags or ():
        if tag.startswith(REPOSITORY_TAG):
            yield tag.removeprefix(REPOSITORY_TAG)
    parameters: Mapping[str, Any] = getattr(run, "parameters", None) or {}
    for name in REPOSITORY_PARAMETERS:
        given = parameters.get(name)
        for each in given if isinstance(given, list | tuple) else (given,):
            if isinstance(each, str):
                yield each


def _metadata_of(run: Any, state: Any) -> dict[str, Any]:
    """Return what tells about a run; no parameters, which may hold secrets."""
    about = {
        "run_name": run.name,
        "state": state.name,
        "attempts": run.run_count,
        "tags": sorted(run.tags or ())[:20],
        "flow_run_id": str(run.flow_run_id) if getattr(run, "flow_run_id", None) else None,
        "deployment_id": str(run.deployment_id) if getattr(run, "deployment_id", None) else None,
    }
    return {
        name: clean_text(value)[:MAX_NAME_LENGTH] if isinstance(value, str) else value
        for name, value in about.items()
        if value not in (None, [])
    }
