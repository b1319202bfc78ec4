"""
The lines of an export: a header, the rows of each kind in the order of `KINDS`, and the counts at the end.

PostgreSQL writes the rows. A row has exactly the members of its kind, null where it has no value.
"""

import base64
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from pgvector import HalfVector

from mahavishnu.base.errors import UsageError
from mahavishnu.embedding.documents import EmbeddedChunk
from mahavishnu.embedding.port import ModelIdentity
from mahavishnu.memory.checks import check_moment, check_name, unknown_value
from mahavishnu.memory.models import (
    COLUMNS,
    VISIBILITIES,
    NewMemory,
    check_new_memory,
)

VERSION = 1
END = "end"
_OF_MEMORIES = ("id", "project", "visibility", *COLUMNS, "stored_at", "superseded_by")
KINDS: Mapping[str, frozenset[str]] = {
    "project": frozenset(("id", "name", "visibility", "created_at", "aliases")),
    "memory": frozenset(_OF_MEMORIES),
    "turn": frozenset(("id", "project", "visibility", "session_id", "position", "agent_id", "role", "speaker",
                       "memory_id", "occurred_at", "stored_at", "metadata", "branch", "model", "profile")),
    "execution": frozenset(("id", "project", "visibility", "execution_id", "workflow_id", "adapter", "repositories",
                            "status", "result", "error", "started_at", "finished_at", "memory_id", "metadata",
                            "created_at")),
}  # fmt: skip
PLURALS = {kind: f"{kind.removesuffix('y')}{'ies' if kind[-1] == 'y' else 's'}" for kind in KINDS}


class ExportHeader(msgspec.Struct, frozen=True, omit_defaults=True):
    """The first line: the version of the format, and the model of the vectors where there are any."""

    mahavishnu_export: int
    vectors_of: ModelIdentity | None = None


@dataclass(frozen=True)
class MemoryLine:
    """A memory on its way in; `chunks` are its vectors, if the export has them."""

    new: NewMemory
    stored_at: datetime
    superseded_by: UUID | None
    chunks: list[EmbeddedChunk]


def end_line(counts: Mapping[str, int]) -> bytes:
    """Return the last line."""
    return msgspec.json.encode({"kind": END, **counts}) + b"\n"


def read_header(line: bytes) -> ExportHeader:
    """Return the header; raises `UsageError` for a file of something else, or of a later release."""
    try:
        header = msgspec.json.decode(line, type=ExportHeader)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(
            "This is not an export: its first line is not a header.",
            hint="Write one with: mahavishnu memory export FILE",
            code="transfer.not_an_export",
        ) from error
    if header.mahavishnu_export != VERSION:
        raise UsageError(
            f"The export has format {header.mahavishnu_export}; this release reads {VERSION}.",
            hint="Import it with the release that wrote it, or a later one.",
            code="transfer.other_version",
        )
    return header


def read_row(line: bytes) -> tuple[str, dict[str, Any]]:
    """Return a line's kind and members; raises `UsageError` where it is no row of a kind that is known."""
    try:
        values = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _invalid("It is not a JSON object, or was cut.") from error
    kind = values.pop("kind", None)
    if kind == END:
        return END, values
    if kind not in KINDS:
        raise unknown_value("kind", str(kind), (*KINDS, END))
    if wrong := (values.keys() ^ KINDS[kind]) - {"vectors"}:
        raise _invalid(f"A {kind} has no, or needs, the members: {', '.join(sorted(wrong))}.")
    _check_place(values)
    return kind, values


def _check_place(values: Mapping[str, Any]) -> None:
    project, visibility = values.get("project"), values["visibility"]
    if project is not None:
        check_name(project, what="project")
    if visibility not in VISIBILITIES:
        raise unknown_value("visibility", str(visibility), VISIBILITIES)


def read_memory(values: dict[str, Any], dimensions: int | None, now: datetime) -> MemoryLine | None:
    """
    Return a memory; None where its time is over at `now`. Vectors of another length than `dimensions` are left out.

    Raises `UsageError` as storing does.
    """
    try:
        stored_at = msgspec.convert(values.pop("stored_at"), datetime)
        superseded_by = msgspec.convert(values.pop("superseded_by"), UUID | None)
        found = msgspec.convert(values.pop("vectors", None) or [], list[tuple[int, int, str]])
        new = msgspec.convert(values, NewMemory)
        chunks = [EmbeddedChunk(start, end, _vector(text)) for start, end, text in found]
    except (msgspec.ValidationError, ValueError, struct.error) as error:
        raise _invalid(f"{error}.") from error
    if new.expires_at is not None and new.expires_at <= now:
        return None
    check_moment(stored_at, what="stored_at")
    check_new_memory(new, now=now)
    if new.id is None or new.occurred_at is None or superseded_by == new.id:
        raise _invalid("It needs an id, a time, and another successor than itself.")
    if any(len(chunk.vector) != dimensions for chunk in chunks):
        chunks = []
    return MemoryLine(new, stored_at, superseded_by, chunks)


def _vector(text: str) -> list[float]:
    values: list[float] = HalfVector.from_binary(base64.b64decode(text)).to_list()
    return values


def _invalid(message: str) -> UsageError:
    return UsageError(message, code="transfer.line")
