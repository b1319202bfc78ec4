"""What went through the gateway, as measurements: a sample for each profile of the requests since the last one."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import mean

from mahavishnu.app import App
from mahavishnu.base.files import write_atomically
from mahavishnu.gateway.places import folder_in
from mahavishnu.gateway.records import UseRecord, read_records
from mahavishnu.memory.records import Metric

AT_ONCE = 10_000
_CURSOR = "sampled"


async def sample_gateway(app: App, count: Callable[[UseRecord], None]) -> None:
    """Record what is new in the gateway's file, and count it; after a crash in between the same sample once more."""
    folder = folder_in(app.loaded.locations.state)
    rows = await asyncio.to_thread(_read_new, folder)
    for metric in samples_of(rows):
        await app.records.record_metric(metric)
    if rows:
        await asyncio.to_thread(write_atomically, folder / _CURSOR, str(rows[-1].id).encode())
    for row in rows:
        count(row)


def samples_of(rows: Iterable[UseRecord]) -> list[Metric]:
    """Return a sample for each profile."""
    by_profile: dict[str, list[UseRecord]] = defaultdict(list)
    for row in rows:
        by_profile[row.profile].append(row)
    return [_sample(profile, each) for profile, each in by_profile.items() if profile]


def _sample(profile: str, rows: Sequence[UseRecord]) -> Metric:
    first = [each.first_ms for each in rows if each.first_ms is not None]
    errors = [each.cause for each in rows if each.cause not in ("", "gone")]
    figures: dict[str, float] = {
        "requests": len(rows),
        "error_count": len(errors),
        "latency_ms": round(mean(each.total_ms for each in rows), 1),
        "input_tokens": sum(each.input or 0 for each in rows),
        "output_tokens": sum(each.output or 0 for each in rows),
        "cached_tokens": sum(each.cached or 0 for each in rows),
    }
    if any(each.cost is not None for each in rows):
        figures["cost_usd"] = round(sum(each.cost or 0.0 for each in rows), 6)
    if first:
        figures["first_byte_ms"] = round(mean(first), 1)
    return Metric(
        source=f"gateway {profile}",
        name="requests",
        figures=figures,
        text="degraded" if errors else "healthy",
        labels={"causes": sorted(set(errors))} if errors else {},
        recorded_at=rows[-1].at,
    )


def _read_new(folder: Path) -> list[UseRecord]:
    after = 0
    with contextlib.suppress(OSError, ValueError):
        after = int((folder / _CURSOR).read_text())
    return read_records(folder, after=after, limit=AT_ONCE)
