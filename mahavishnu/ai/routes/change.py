"""Change members of the routes beside switches, one process of ours at a time; this is not in the journal."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mahavishnu.ai.foreign_files.documents.json_document import JsonDocument
from mahavishnu.ai.foreign_files.files import SettingsFile
from mahavishnu.ai.foreign_files.merge import Change, Set
from mahavishnu.ai.routes.routes import Link, Routes, members_of, read_routes

type Chains = Mapping[str, Sequence[Link]]


def change_routes(
    path: Path, locks: Path, *, chains: Chains | None = None, pinned: bool | None = None
) -> Routes:
    """
    Exchange the chains of clients that have a route, pin all routes or unpin them, and return the routes.

    `locks` is the folder of our locks.

    Raises:
        Corrupt: as `read_routes`.
        MahavishnuError: as `SettingsFile.edit`.
    """
    known = read_routes(path)
    changes: list[Change] = [
        Set((name, "chain"), [members_of(link) for link in links])
        for name, links in (chains or {}).items()
        if name in known and links
    ]
    if pinned is not None:
        changes += [Set((name, "pinned"), pinned) for name in known]
    if changes:
        SettingsFile(path, JsonDocument, locks).edit(changes, private=True)
    return read_routes(path)
