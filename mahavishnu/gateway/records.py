"""
What each request was: a row in a SQLite file of ours, bounded; never what was said, nor a key.

One process writes, any may read. A file that cannot be written stops no request.
"""

import queue
import sqlite3
import threading
import time as time_module
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Self

import msgspec
from msgspec import Meta, Struct

from mahavishnu.base.logs import get_logger
from mahavishnu.base.paths import private_folder
from mahavishnu.gateway.limits import DayUse

NAME = "use.sqlite3"
MAX_ROWS = 200_000
_TRIM_EVERY = 1_000
_GATHER_S = 0.1
_END_S = 10.0  # in which a gateway that ends has written them
_WAITING = 10_000  # rows that nobody wrote yet
_log = get_logger(__name__)

_TABLE = """
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, client TEXT NOT NULL, profile TEXT NOT NULL,
    protocol TEXT NOT NULL, model TEXT NOT NULL, sent_model TEXT NOT NULL, status INTEGER NOT NULL,
    cause TEXT NOT NULL, moved_from TEXT NOT NULL, first_ms REAL, total_ms REAL NOT NULL,
    input INTEGER, output INTEGER, cached INTEGER, cost REAL
);
CREATE INDEX IF NOT EXISTS requests_at ON requests (at);
"""


class UseRecord(Struct, frozen=True, kw_only=True):
    """One request of a client, by its last attempt."""

    id: int = 0
    at: datetime
    client: str
    profile: Annotated[str, Meta(description="The profile that was asked last.")]
    protocol: str
    model: Annotated[str, Meta(description="The model that the client asked for.")]
    sent_model: Annotated[str, Meta(description="The model that the provider was asked for.")]
    status: Annotated[int, Meta(description="What the client got; 0 where it had gone.")]
    cause: Annotated[
        str,
        Meta(
            description="Why it failed: quota, overload, auth, network, provider, client; gone where the client "
            "went or the gateway stopped, empty where it did not fail."
        ),
    ] = ""
    moved_from: Annotated[
        str, Meta(description="Profiles that failed before: NAME:CAUSE, with commas between.")
    ] = ""
    first_ms: Annotated[
        float | None, Meta(description="Milliseconds to the first byte of the answer.")
    ] = None
    total_ms: float
    input: Annotated[int | None, Meta(description="Tokens of the request, cached ones too.")] = None
    output: int | None = None
    cached: int | None = None
    cost: Annotated[
        float | None,
        Meta(description="US dollars at list price; null where the price is not known."),
    ] = None


class UseSum(Struct, frozen=True, kw_only=True):
    """What a profile was used for on a day, in local time."""

    day: date
    profile: str
    requests: int
    failures: int
    input: int
    output: int
    cached: int
    cost: Annotated[
        float, Meta(description="US dollars at list price, of requests whose price is known.")
    ]
    unpriced: Annotated[int, Meta(description="Requests with tokens whose price is not known.")]
    first_ms: Annotated[float | None, Meta(description="Mean milliseconds to the first byte.")]


_COLUMNS = tuple(each for each in UseRecord.__struct_fields__ if each != "id")
_INSERT = (
    f"INSERT INTO requests ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' for _ in _COLUMNS)})"
)


class UseLog:
    """
    Writes rows in a thread of its own, within a `with` block.

    There `price` gives the cost of a request to an address, and `written` gets the row with it.
    """

    def __init__(
        self,
        folder: Path,
        price: Callable[[UseRecord, str], float | None] = lambda *_: None,
        written: Callable[[UseRecord], object] = lambda _: None,
    ) -> None:
        self._path = folder / NAME
        self._price = price
        self._written = written
        self._rows: queue.Queue[tuple[UseRecord, str] | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._write, name="use-records", daemon=True)

    def __enter__(self) -> Self:
        private_folder(self._path.parent)
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        with suppress(queue.Full):
            self._rows.put(None, timeout=_END_S)
        self._thread.join(_END_S)

    def add(self, record: UseRecord, url: str = "") -> None:
        """Note a request to an address; waits for nothing."""
        with suppress(queue.Full):
            self._rows.put_nowait((record, url))

    def _write(self) -> None:
        written = 0
        while (row := self._rows.get()) is not None:
            time_module.sleep(_GATHER_S)  # for others that come at the same time
            rows = [self._priced(*row)]
            ended = False
            while not self._rows.empty() and len(rows) < 1_000:
                following = self._rows.get()
                if following is None:
                    ended = True
                    break
                rows.append(self._priced(*following))
            try:
                with closing(_open(self._path)) as database, database:
                    database.executemany(_INSERT, [_values(each) for each in rows])
                    written += len(rows)
                    if written >= _TRIM_EVERY:
                        written = 0
                        trim = "DELETE FROM requests WHERE id <= (SELECT max(id) FROM requests) - ?"
                        database.execute(trim, (MAX_ROWS,))
            except (sqlite3.Error, OverflowError) as error:
                _log.warning("use_not_recorded", reason=str(error), rows=len(rows))
            if ended:
                return

    def _priced(self, record: UseRecord, url: str) -> UseRecord:
        priced = msgspec.structs.replace(record, cost=self._price(record, url))
        self._written(priced)
        return priced


def read_records(
    folder: Path, *, after: int | None = None, client: str | None = None, limit: int
) -> list[UseRecord]:
    """Return the last rows, or those behind an id, oldest first; none where there is no file."""
    order = "DESC" if after is None else "ASC"
    sql = f"""
        SELECT * FROM (
            SELECT * FROM requests WHERE id > ? AND (? IS NULL OR client = ?) ORDER BY id {order} LIMIT ?
        ) ORDER BY id
    """
    return [_record(row) for row in _read(folder, sql, (after or 0, client, client, limit))]


def sum_use(folder: Path, *, since: datetime) -> list[UseSum]:
    """Return what profiles were used for, by local day and name."""
    sql = """
        SELECT date(at, 'unixepoch', 'localtime'), profile, count(*), sum(cause NOT IN ('', 'gone')),
               coalesce(sum(input), 0), coalesce(sum(output), 0), coalesce(sum(cached), 0), avg(first_ms),
               coalesce(sum(cost), 0), sum(cost IS NULL AND coalesce(input, output) IS NOT NULL)
        FROM requests WHERE at >= ? AND profile <> '' GROUP BY 1, 2 ORDER BY 1, 2
    """
    return [
        UseSum(
            day=date.fromisoformat(row[0]), profile=row[1], requests=row[2], failures=row[3], input=row[4],
            output=row[5], cached=row[6], first_ms=None if row[7] is None else round(row[7], 1),
            cost=round(row[8], 6), unpriced=row[9],
        )
        for row in _read(folder, sql, (since.timestamp(),))
    ]  # fmt: skip


def use_of_day(folder: Path, day: date) -> dict[str, DayUse]:
    """Return the use of each profile on a local day."""
    begin = datetime.combine(day, time()).astimezone()
    end = datetime.combine(day + timedelta(days=1), time()).astimezone()
    sql = """
        SELECT profile, coalesce(sum(input), 0) + coalesce(sum(output), 0), coalesce(sum(cost), 0) FROM requests
        WHERE at >= ? AND at < ? GROUP BY profile
    """
    rows = _read(folder, sql, (begin.timestamp(), end.timestamp()))
    return {profile: DayUse(tokens, cost) for profile, tokens, cost in rows}


def _read(folder: Path, sql: str, values: Sequence[object]) -> Iterator[Any]:
    path = folder / NAME
    if not path.exists():
        return
    try:
        with closing(_open(path)) as database:
            yield from database.execute(sql, values)
    except sqlite3.Error as error:
        _log.warning("use_not_read", reason=str(error))


def _open(path: Path) -> sqlite3.Connection:
    fresh = not path.exists()
    if fresh:
        path.touch(mode=0o600)
    database = sqlite3.connect(path, timeout=10)
    try:
        if fresh:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
        database.executescript(_TABLE)
        if all(each[1] != "cost" for each in database.execute("PRAGMA table_info(requests)")):
            database.execute("ALTER TABLE requests ADD COLUMN cost REAL")  # of a file from before
    except sqlite3.Error:
        database.close()
        raise
    return database


def _values(record: UseRecord) -> tuple[object, ...]:
    values = msgspec.structs.asdict(record)
    return tuple(values[each].timestamp() if each == "at" else values[each] for each in _COLUMNS)


def _record(row: Sequence[Any]) -> UseRecord:
    values = dict(zip(("id", *_COLUMNS), row, strict=True))
    return UseRecord(**values | {"at": datetime.fromtimestamp(values["at"], UTC)})
