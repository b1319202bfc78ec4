"""Export and import against COPY of the same rows, in turns."""

import os
import time
from collections.abc import Awaitable
from pathlib import Path
from statistics import median

import asyncpg

from benchmarks.report import Section
from benchmarks.world import connect_as_superuser, environment, open_product
from mahavishnu.base.files import replacing
from mahavishnu.memory.models import NewMemory

ROWS = 20_000
ROUNDS = 3
WORDS = "The staging key rotates on Mondays, and the one of production by hand after a call. "
TABLES = ("memories", "postings", "embedding_queue")
COLUMNS = """
    SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute
    WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""


async def measure_transfer(home: Path) -> Section:
    """Measure both directions over memories without vectors."""
    began = time.monotonic()
    os.environ |= environment(home, MAHAVISHNU_EMBEDDING_PROVIDER="none")
    section = Section("Export and import")
    seconds: dict[str, list[float]] = {}
    async with open_product(home, MAHAVISHNU_EMBEDDING_PROVIDER="none") as app:
        news = (NewMemory(content=f"{n}. {WORDS * 4}", project=f"p{n % 5}") for n in range(ROWS))
        async for _ in app.memories.store_many(news, embed=False):
            pass
        superuser = await connect_as_superuser(app.database)
        columns = {table: await superuser.fetchval(COLUMNS, table) for table in TABLES}
        file = home / "export.jsonl"
        for _ in range(ROUNDS):
            with replacing(file) as stream:
                await _timed(seconds, "export", app.transfer.export(stream.write))
            for table in TABLES:
                copied = superuser.copy_from_table(
                    table, output=home / table, columns=columns[table], format="binary"
                )
                await _timed(seconds, f"copy {table}", copied)
            for name in ("again", "import"):
                if name == "import":
                    await superuser.execute("TRUNCATE memories, postings, changes CASCADE")
                with file.open("rb") as stream:
                    await _timed(seconds, name, app.transfer.import_lines(stream, _ignore))
            await superuser.execute("TRUNCATE memories, postings, changes CASCADE")
            await _timed(seconds, "copy in", _copy_in(superuser, home, columns))
        await superuser.close()
    rate = {name: ROWS / median(each) for name, each in seconds.items()}
    for name, ours, floor in (
        ("export", "export", "copy memories"),
        ("import", "import", "copy in"),
        ("import what is there", "again", "copy in"),
    ):
        section.add(
            f"{name}, {ROWS:,}", rows__per__s=rate[ours], COPY__rows__per__s=rate[floor],
            of__COPY=rate[ours] / rate[floor],
        )  # fmt: skip
    section.notes.append(
        "Floor of an export: COPY of the table memories to a file. Floor of an import: COPY of the "
        "memories, their words and their places in the queue by the superuser, made ready beforehand, one "
        f"transaction. Texts of {len(WORDS) * 4} characters; median of {ROUNDS}."
    )
    section.seconds = time.monotonic() - began
    return section


async def _timed(seconds: dict[str, list[float]], name: str, work: Awaitable[object]) -> None:
    before = time.perf_counter()
    await work
    seconds.setdefault(name, []).append(time.perf_counter() - before)


async def _copy_in(
    connection: asyncpg.Connection, home: Path, columns: dict[str, list[str]]
) -> None:
    async with connection.transaction():
        for table in TABLES:
            await connection.copy_to_table(
                table, source=home / table, columns=columns[table], format="binary"
            )


async def _ignore(_count: int) -> None:
    pass
