"""Which units are to run: kept in a file, so that a daemon that was killed in the middle of something loses nothing."""

import json
from collections.abc import Iterable
from pathlib import Path

from mahavishnu.base.daemon.record import translated_files
from mahavishnu.base.files import write_atomically


class WantedUnits:
    """The names of units that are to run; every change is on disk before it counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names: frozenset[str] = frozenset()

    def __contains__(self, name: str) -> bool:
        return name in self._names

    @property
    def names(self) -> frozenset[str]:
        """All of them."""
        return self._names

    def read(self) -> frozenset[str] | None:
        """Return what a daemon left that was killed; None where the last one ended in order."""
        try:
            names = json.loads(self._path.read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return frozenset(map(str, names)) if isinstance(names, list) else None

    def set(self, names: Iterable[str]) -> None:
        """Replace them; raises `daemon.file`."""
        self._names = frozenset(names)
        with translated_files(self._path.parent):
            write_atomically(self._path, json.dumps(sorted(self._names)).encode())

    def change(self, name: str, *, wanted: bool) -> None:
        """Add or take away one; raises as `set`."""
        if (name in self._names) != wanted:
            self.set(self._names | {name} if wanted else self._names - {name})

    def forget(self) -> None:
        """Leave nothing behind: the next daemon begins with what is enabled."""
        self._path.unlink(missing_ok=True)
