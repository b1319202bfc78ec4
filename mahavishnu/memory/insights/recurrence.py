"""What recurs among failures and insights, in words. Pure."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from mahavishnu.memory.insights.extraction import KEY

type Recurring = Literal["error", "workflow", "insight"]
TIMES = 3  # that something has to fail
LONGEST_LINE = 500  # characters of an error that are compared
_VARYING = (
    (re.compile(r"\b[a-z][a-z0-9+.-]{1,15}://[^\s'\"<>]+"), "<url>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d(?:[t ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:z|[+-]\d\d:?\d\d)?)?"), "<time>"),
    (re.compile(r"\b\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?\b"), "<time>"),
    (re.compile(r"(?<![\w<])(?:~|\.{1,2})?(?:/[\w.@%+~-]+)+/?|\b[a-z]:\\[^\s'\"<>|]+"), "<path>"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"\b0x[0-9a-f]+\b|\b(?=[a-z]*\d)[0-9a-f]{7,64}\b"), "<id>"),
    (re.compile(r"\d+(?:[.,]\d+)*"), "<n>"),
)  # fmt: skip


@dataclass(frozen=True)
class FailedRun:
    """An execution that failed, by the memory of it; `projects` are those that it was about."""

    memory_id: UUID
    workflow_id: str
    error: str | None
    projects: tuple[str, ...]
    at: datetime

    @property
    def line(self) -> str:
        """The last line of the error, which says what it is."""
        lines = [line.strip() for line in (self.error or "").splitlines() if line.strip()]
        return lines[-1][:LONGEST_LINE] if lines else ""


@dataclass(frozen=True)
class FoundInsight:
    """An insight as one project has it; `times` counts where it was found there."""

    memory_id: UUID
    source_key: str
    text: str
    projects: tuple[str, ...]
    times: int
    at: datetime


@dataclass(frozen=True)
class Pattern:
    """Something that recurred; `sources` are the memories that show it, the newest first."""

    kind: Recurring
    key: str
    text: str
    times: int
    sources: tuple[UUID, ...]
    projects: tuple[str, ...]
    first_at: datetime
    last_at: datetime
    workflow_id: str | None = None


def fingerprint(error: str) -> str:
    """Return an error without what differs from run to run: numbers, ids, paths, addresses and times."""
    text = error.casefold()
    for pattern, instead in _VARYING:
        text = pattern.sub(instead, text)
    return " ".join(text.split())


def find_patterns(failures: Iterable[FailedRun], found: Iterable[FoundInsight]) -> list[Pattern]:
    """
    Return what recurred, in the order of its kinds and keys.

    That is an error that three runs ended with, a workflow that failed three times with more than one of them, and
    an insight that was found in two projects.
    """
    by_error: dict[str, list[FailedRun]] = defaultdict(list)
    by_workflow: dict[str, list[FailedRun]] = defaultdict(list)
    for failure in sorted(failures, key=lambda each: (each.at, each.memory_id), reverse=True):
        by_workflow[failure.workflow_id].append(failure)
        if failure.line:
            by_error[fingerprint(failure.line)].append(failure)
    errors = {print_: each for print_, each in by_error.items() if len(each) >= TIMES}
    told = [{each.memory_id for each in runs} for runs in errors.values()]
    patterns = [_of_error(print_, runs) for print_, runs in errors.items()]
    for workflow, runs in by_workflow.items():
        ids = {each.memory_id for each in runs}
        if len(runs) >= TIMES and not any(ids <= each for each in told):
            patterns.append(_of_workflow(workflow, runs))
    by_insight: dict[str, list[FoundInsight]] = defaultdict(list)
    for each in sorted(found, key=lambda each: (each.at, each.memory_id), reverse=True):
        by_insight[each.source_key].append(each)
    patterns += [_of_insight(key, each) for key, each in by_insight.items() if len(each) > 1]
    return sorted(patterns, key=lambda each: (each.kind, each.key))


def _of_error(print_: str, runs: Sequence[FailedRun]) -> Pattern:
    workflows = sorted({each.workflow_id for each in runs})
    text = (
        f"The same error ended {len(runs)} runs of {_some(workflows)}{_when(runs)}: {runs[0].line}"
    )
    alone = workflows[0] if len(workflows) == 1 else None
    return _pattern("error", _digest(print_), text, runs, alone)


def _of_workflow(workflow: str, runs: Sequence[FailedRun]) -> Pattern:
    errors = len({fingerprint(each.line) for each in runs if each.line})
    kinds = f" with {errors} different errors" if errors > 1 else ""
    last = f" Last: {runs[0].line}" if runs[0].line else ""
    text = f"The workflow {workflow} failed {len(runs)} times{kinds}{_when(runs)}.{last}"
    return _pattern("workflow", _digest(workflow), text, runs, workflow)


def _of_insight(key: str, found: Sequence[FoundInsight]) -> Pattern:
    times = sum(max(1, each.times) for each in found)
    projects = _projects(found)
    text = f"Found {times} times, in {_some(projects)}: {found[0].text}"
    pattern = _pattern("insight", key.removeprefix(KEY), text, found, None)
    return Pattern(**{**vars(pattern), "times": times})


def _pattern(
    kind: Recurring,
    key: str,
    text: str,
    shown_by: Sequence[FailedRun] | Sequence[FoundInsight],
    workflow_id: str | None,
) -> Pattern:
    return Pattern(
        kind, key, text, len(shown_by), tuple(each.memory_id for each in shown_by),
        tuple(_projects(shown_by)), shown_by[-1].at, shown_by[0].at, workflow_id,
    )  # fmt: skip


def _projects(shown_by: Sequence[FailedRun] | Sequence[FoundInsight]) -> list[str]:
    return sorted({name for each in shown_by for name in each.projects})


def _some(names: Sequence[str], most: int = 5) -> str:
    further = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + further


def _when(runs: Sequence[FailedRun]) -> str:
    projects = _projects(runs)
    where = f" in {_some(projects)}" if projects else ""
    first, last = runs[-1].at.date().isoformat(), runs[0].at.date().isoformat()
    return f"{where} on {first}" if first == last else f"{where} from {first} to {last}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
