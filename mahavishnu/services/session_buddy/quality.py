"""What Session-Buddy says of the quality of a folder: read out of prose, with which it answers failures as well."""

import re
from dataclasses import dataclass
from pathlib import Path

from mahavishnu.base.errors import Conflict
from mahavishnu.services.session_buddy.client import CALL_S, MAX_TOLD, SessionBuddy

_SCORE = re.compile(r"(?:\(Score|Quality score): (\d{1,3})(?:\.\d+)?/100")
_PART = re.compile(r"(Code quality|Project health|Dev velocity|Security): (\d+(?:\.\d+)?)/(\d+)")
_FAILED = re.compile(r"^\s*❌\s*(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class QualityPart:
    """A part of the score, `of` at most so many."""

    name: str
    score: float
    of: int


@dataclass(frozen=True)
class Quality:
    """The score of a folder, of 100, and its parts."""

    score: int
    parts: tuple[QualityPart, ...]


async def read_quality(buddy: SessionBuddy, folder: Path, *, timeout_s: float = CALL_S) -> Quality:
    """Ask how good a folder is, which changes nothing; raises as `SessionBuddy.call`."""
    return await _ask(buddy, "status", folder, timeout_s)


async def make_checkpoint(buddy: SessionBuddy, folder: Path, *, timeout_s: float) -> Quality:
    """
    Let it make a checkpoint of a folder; raises as `SessionBuddy.call`.

    Where `.git` is a file it commits everything in the folder, also what git does not know: never call it there.
    """
    return await _ask(buddy, "checkpoint", folder, timeout_s)


async def _ask(buddy: SessionBuddy, tool: str, folder: Path, timeout_s: float) -> Quality:
    answer = await buddy.call(tool, {"working_directory": str(folder)}, timeout_s=timeout_s)
    return parse_quality(answer.text)


def parse_quality(text: str) -> Quality:
    """Return what an answer says; raises `Conflict`, `session_buddy.refused`, where it has no score."""
    found = _SCORE.search(text)
    if found is None or int(found[1]) > 100:
        failed = _FAILED.search(text)
        told = failed[1].strip() if failed else "it names no score"
        raise Conflict(
            f"Session-Buddy did not judge the folder: {told[:MAX_TOLD]}",
            code="session_buddy.refused",
        )
    parts = {name: (float(score), int(of)) for name, score, of in _PART.findall(text)}
    return Quality(int(found[1]), tuple(QualityPart(name, *each) for name, each in parts.items()))
