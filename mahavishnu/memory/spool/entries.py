"""A write that waits: as a value, and as it is written down, which later releases read too."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from mahavishnu.base.errors import Corrupt, MahavishnuError, Unavailable, UsageError
from mahavishnu.base.identifiers import new_id
from mahavishnu.memory.conversations import NewTurn
from mahavishnu.memory.models import NewMemory, utc_now
from mahavishnu.memory.records import NewExecution
from mahavishnu.memory.spool.file import SpoolEntry

type Write = NewMemory | NewTurn | NewExecution
KINDS: Mapping[str, type[Any]] = {
    "memory": NewMemory,
    "turn": NewTurn,
    "execution": NewExecution,
}


def is_away(error: MahavishnuError) -> bool:
    """Tell whether the database cannot be reached for now; what somebody has to change is refused at once."""
    known = error.code.startswith("database.") and error.code != "database.disabled"
    return known and isinstance(error, Unavailable)


def is_refusal(error: MahavishnuError) -> bool:
    """Tell whether the database refuses one write for good, rather than all of them."""
    of_all = isinstance(error, Unavailable) or error.code.startswith("database.")
    return not of_all or error.code == "database.error"


def write_down(write: Write, database: str) -> SpoolEntry:
    """
    Return the entry of a checked write, with an id and its time where it had none.

    Raises:
        UsageError: `input.value`, it holds what cannot be read back, such as a vector with NaN.
    """
    now = utc_now()
    if not isinstance(write, NewExecution) and write.occurred_at is None:
        write = replace(write, occurred_at=now)
    if isinstance(write, NewMemory) and write.vector is not None:
        values = [float(each) for each in write.vector.values]
        write = replace(write, vector=replace(write.vector, values=values))
    write = replace(write, id=write.id or new_id())
    assert write.id is not None
    kind = next(name for name, each in KINDS.items() if isinstance(write, each))
    body = msgspec.json.encode(write)
    try:
        msgspec.json.decode(body, type=KINDS[kind])
    except msgspec.DecodeError as error:
        raise UsageError(
            f"The {kind} cannot be kept on this machine: {error}.", code="input.value"
        ) from error
    return SpoolEntry(write.id, kind, database, body, now)


def read_back(entry: SpoolEntry) -> Any:
    """
    Return the write of an entry, of the type that `KINDS` has for it.

    Raises:
        Corrupt: `spool.entry`, it is damaged, or of a later release.
    """
    try:
        return msgspec.json.decode(entry.body, type=KINDS[entry.kind])
    except (msgspec.DecodeError, KeyError) as error:
        raise Corrupt(
            f"The {entry.kind} {entry.id} that waits in the spool cannot be read: {error}.",
            hint="Upgrade Mahavishnu on this machine.",
            code="spool.entry",
        ) from error
