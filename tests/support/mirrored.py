"""Read a mirror as its page says, and let an outbox catch up."""

import json
from pathlib import Path
from typing import Any

from mahavishnu.memory.outbox.outbox import Outbox


def read_mirror(path: Path) -> list[dict[str, Any]]:
    """Return the changes in a mirror, the first line of each; every line has to be whole."""
    header, *lines = path.read_bytes().splitlines(keepends=True)
    assert json.loads(header)["format"] == 1
    assert all(line.endswith(b"\n") for line in lines)
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for line in map(json.loads, lines):
        found.setdefault((line["xid"], line["change"]), line)
    return list(found.values())


async def catch_up(outbox: Outbox) -> None:
    """Deliver until nothing is left: other tests' transactions on this server may be open for a moment."""
    while True:
        assert [ran.error for ran in await outbox.run(force=True) if ran.error] == []
        if not any(target.pending for target in await outbox.status()):
            return
