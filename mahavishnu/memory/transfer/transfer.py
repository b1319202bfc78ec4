"""Export and import of the caller's memories, and what belongs to them, as JSON lines."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

import msgspec

from mahavishnu.database.pool import Database, DriverConnection
from mahavishnu.memory.models import MemoryFilter
from mahavishnu.memory.scoping import Scopes
from mahavishnu.memory.space import EmbeddingSpace
from mahavishnu.memory.statements import load_memory_queries
from mahavishnu.memory.transfer.importing import Import, ImportReport, LineOutcome
from mahavishnu.memory.transfer.lines import VERSION, ExportHeader, end_line

# COPY gives a line of JSON as it is: JSON escapes what separates and quotes here.
_AS_IT_IS = {"format": "csv", "delimiter": "\x01", "quote": "\x02"}
_FOREVER_S = 10 * 365 * 24 * 3600.0  # it takes as long as its reader
_QUERIES = load_memory_queries("transfer")

type WriteBytes = Callable[[bytes], object]


@dataclass(frozen=True)
class Transfer:
    """Moves memories out of and into a database; in bounded memory, whatever their number."""

    database: Database
    space: EmbeddingSpace
    scopes: Scopes

    async def export(
        self, write: WriteBytes, wanted: MemoryFilter | None = None, *, vectors: bool = False
    ) -> dict[str, int]:
        """
        Write header, rows and counts, all of one moment; returns the counts. The same rows give the same bytes.

        Only own rows are written: shared ones of others are theirs to export. A filter leaves its
        projects, memories, and the turns and executions of these.

        Raises:
            NotFound: a project of the filter is not there.
        """
        wanted = wanted or MemoryFilter()
        active = await self.space.active() if vectors else None
        async with self.database.snapshot() as connection:
            scopes = list((await self.scopes.survey(connection, wanted)).scopes)
            fine = (scopes, *wanted.fine_parameters)
            parameters = {
                "projects": (None if wanted == MemoryFilter() else scopes,),
                "memories": fine,
                "turns": fine,
                "executions": (*fine, wanted.is_fine),
            }
            write(msgspec.json.encode(ExportHeader(VERSION, active and active[1])) + b"\n")
            counts = {}
            for kind, values in parameters.items():
                query = _QUERIES[f"export_{kind}"]
                if active is not None:
                    query = query.replace("/* vectors */", f", {active[0].exported()} AS vectors")
                counts[kind] = await _copy(connection, query, values, write)
        write(end_line(counts))
        return counts

    async def import_lines(self, stream: BinaryIO, report: ImportReport) -> LineOutcome:
        """Bring in the lines of an export, as far as they are not there; raises as `Import.read`."""
        return await Import(self.database, self.space, self.scopes).read(stream, report)


async def _copy(
    connection: DriverConnection, query: str, values: tuple[object, ...], write: WriteBytes
) -> int:
    async def take(data: bytes) -> None:
        write(data)

    # Without its comment: the driver puts values in the places of all parameters that it reads.
    statement = query[query.index("SELECT") :].rstrip(";")
    status = await connection.copy_from_query(
        statement, *values, output=take, timeout=_FOREVER_S, **_AS_IT_IS
    )
    return int(status.rpartition(" ")[2])
