"""The operations that export memories as JSON lines, and import such lines."""

from typing import BinaryIO

from mahavishnu.operations.bodies import Body
from mahavishnu.operations.operation import Call, Request
from mahavishnu.operations.requests import Where


class ExportMemories(Where, frozen=True, kw_only=True):
    """Which memories, where to, and whether with their vectors."""

    stream: BinaryIO
    vectors: bool = False


class ImportMemories(Request, frozen=True, kw_only=True):
    """Where the lines of an export come from."""

    stream: BinaryIO


class Exported(Body, frozen=True, kw_only=True):
    """How many rows of each kind were written."""

    projects: int
    memories: int
    turns: int
    executions: int


class RefusedLine(Body, frozen=True, kw_only=True):
    """A line that did not come in, and why."""

    line: int
    reason: str


class ImportedLines(Body, frozen=True, kw_only=True):
    """What became of the lines, by kind; the first that were `refused` are named."""

    counts: dict[str, dict[str, int]]
    refused: int
    refused_lines: list[RefusedLine]
    vectors_left_out: bool
    waiting: int


async def export_memories(call: Call, request: ExportMemories) -> Exported:
    """Write the caller's own memories, and what belongs to them, all of one moment."""
    write = request.stream.write
    counts = await call.app.transfer.export(write, request.filter(), vectors=request.vectors)
    return Exported(**counts)


async def import_memories(call: Call, request: ImportMemories) -> ImportedLines:
    """Bring in the lines of an export that are not there yet."""
    done = 0

    async def report(count: int) -> None:
        nonlocal done
        done += count
        await call.report(done, None, "Importing")

    outcome = await call.app.transfer.import_lines(request.stream, report)
    return ImportedLines(
        counts={kind: dict(counts) for kind, counts in outcome.counts.items()},
        refused=outcome.refused,
        refused_lines=[RefusedLine(line=line, reason=why) for line, why in outcome.problems],
        vectors_left_out=outcome.vectors_left_out,
        waiting=await call.app.memories.count_waiting(),
    )
