"""The figures of a run as Markdown, and what of it was not as promised."""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from tests.soak.harms import Harm, Harmer
from tests.soak.home import Failure, Home
from tests.soak.watching import Probe, Sample, Watcher

GOAL = 0.999
AFTERMATH_S = 20.0  # that an error may come after the end of what caused it: the patience of a call, and a back-off
AWAY = ("ConnectError", "ReadError", "RemoteProtocolError", "WriteError", "mcp.cut_off", "daemon.")
# What each fault may make of calls, by how the codes begin.
CAUSED: dict[str, tuple[str, ...]] = {
    "daemon": (*AWAY, "service.", "database."),
    "backend": ("database.",), "server": ("database.",), "keeper": ("database.",),
    "full": ("database.", "spool.", "embedding.", "service.", "daemon.disk_full", "ai_files.",
             "ai.", "settings", "files."),
    "stopped": ("embedding.",), "service": ("embedding.",), "cut off": (),
}  # fmt: skip
MARKS_MIN = (5, 15, 30, 45, 60)
WARM_S = 600.0  # of a life of the daemon, before its memory has to be flat


def explain(failure: Failure, harms: Sequence[Harm]) -> str:
    """Return the kind of the fault that explains a failed call, the last one; "" where none does."""
    for harm in reversed(harms):
        near = harm.began <= failure.at <= harm.ended + AFTERMATH_S
        if near and failure.code.startswith(CAUSED[harm.kind]):
            return harm.kind
    return ""


def availability(probes: Sequence[Probe], harms: Iterable[Harm], *kinds: str) -> tuple[int, int]:
    """Return how many probes were good, of how many that touch no fault of these kinds."""
    spans = [(each.began, each.ended) for each in harms if each.kind in kinds]
    counted = [p for p in probes if not any(b <= p.at + p.seconds and p.at <= e for b, e in spans)]
    return sum(not each.problem for each in counted), len(counted)


def slope(samples: Sequence[tuple[float, float]]) -> float:
    """Return by how much the second value grows in an hour, by least squares."""
    if len(samples) < 2:
        return math.nan
    return statistics.linear_regression(*zip(*samples, strict=True)).slope * 3600


def last_life(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples of the last process, without its first minutes."""
    life = [each for each in samples if each.pid == samples[-1].pid]
    warm = min(WARM_S, (life[-1].at - life[0].at) / 4)
    return [each for each in life if each.at >= life[0].at + warm]


def write_report(home: Home, harmer: Harmer, watcher: Watcher, wrong: Sequence[str]) -> Iterator[str]:  # fmt: skip
    """Yield the lines."""
    yield from _availability(watcher.probes, harmer.done)
    yield from _memory(watcher.samples)
    yield from _latencies(home, watcher)
    yield from _failures(home, harmer.done)
    fates = Counter(home.ledger.fates.values())
    yield f"\nwrites: {dict(fates)}; unsure: without an answer"
    yield f"taken by the spool: {home.spooled}"
    yield f"degraded searches: {dict(home.degraded)}"
    yield f"outcomes: {dict(home.outcomes)}"
    yield f"ends of the daemon: {[(round(at), status) for at, status in home.exits]}"
    yield f"\nnot as promised: {len(wrong)}"
    yield from wrong


def _availability(probes: Sequence[Probe], harms: Sequence[Harm]) -> Iterator[str]:
    yield from _head("counted", "good", "of", "available")
    database = ("backend", "server", "keeper", "full")
    for name, left_out in (
        ("all probes", ()),
        ("without the restarts of a killed daemon", ("daemon",)),
        ("nor of a killed database or a full disk", ("daemon", *database)),
    ):
        good, of = availability(probes, harms, *left_out)
        yield f"| {name} | {good:,} | {of:,} | {good / of:.3%} |"
    yield from _head("fault", "times", "median s until it was over", "bad probes", "of which later")
    bad, later = Counter[str](), Counter[str]()
    for probe in probes:
        if probe.problem:
            last = next((each for each in reversed(harms) if each.began <= probe.at + probe.seconds), None)  # fmt: skip
            bad[last.kind if last else "none"] += 1
            later[last.kind if last else "none"] += not last or probe.at > last.ended
    for kind, times in Counter(each.kind for each in harms).items():
        took = statistics.median(each.ended - each.began for each in harms if each.kind == kind)
        yield f"| {kind} | {times} | {took:.1f} | {bad[kind]} | {later[kind]} |"
    if bad["none"]:
        yield f"| none | | | {bad['none']} | {later['none']} |"
    problems = Counter(each.problem for each in probes if each.problem)
    yield "\nbad probes: " + ", ".join(f"{count} {name}" for name, count in problems.most_common())


def _memory(samples: Sequence[Sample]) -> Iterator[str]:
    yield from _head(
        "until minute", "median MiB", "most MiB", "median files", "most files", "lives"
    )
    before = 0
    for mark in MARKS_MIN:
        part = [each for each in samples if before * 60 <= each.at < mark * 60]
        before = mark
        if part:
            rss, files = [each.rss_mb for each in part], [each.files for each in part]
            cells = (
                f"{statistics.median(rss):.1f} | {max(rss):.1f} | {statistics.median(files):.0f}"
            )
            yield f"| {mark} | {cells} | {max(files)} | {len({each.pid for each in part})} |"
    life = last_life(samples)
    rss_slope = slope([(each.at, each.rss_mb) for each in life])
    file_slope = slope([(each.at, float(each.files)) for each in life])
    lived = life[-1].at - life[0].at
    cpu = (life[-1].cpu_s - life[0].cpu_s) / lived if lived else math.nan
    yield f"\nlast life of the daemon, {lived / 60:.0f} minutes once warm: {cpu:.0%} of a core,"
    yield f"{rss_slope:+.1f} MiB and {file_slope:+.1f} files an hour"


def _latencies(home: Home, watcher: Watcher) -> Iterator[str]:
    yield from _head("call", "answered", "p50 ms", "p99 ms", "most ms")
    probes = {"probe (/health and search)": [each.seconds for each in watcher.probes if not each.problem]}  # fmt: skip
    for kind, seconds in sorted((home.seconds | probes).items()):
        p50, p99 = (sorted(seconds)[int(len(seconds) * share)] * 1000 for share in (0.5, 0.99))
        yield f"| {kind} | {len(seconds):,} | {p50:.0f} | {p99:.0f} | {max(seconds) * 1000:.0f} |"


def _failures(home: Home, harms: Sequence[Harm]) -> Iterator[str]:
    yield from _head("failed calls", "code", "explained by", "unexplained")
    kinds: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for failure in home.failures:
        kinds[failure.kind, failure.code][explain(failure, harms)] += 1
    for (kind, code), by in sorted(kinds.items()):
        told = ", ".join(f"{name} {count}" for name, count in by.items() if name)
        yield f"| {kind} | {code} | {told} | {by['']} |"


def _head(*names: str) -> Iterator[str]:
    yield f"\n| {' | '.join(names)} |"
    yield f"|---|{'---:|' * (len(names) - 1)}"


def unexplained(home: Home, harms: Sequence[Harm]) -> list[str]:
    """Return the failed calls that no fault explains."""
    return [
        f"unexplained: at {each.at:.0f} s {each.kind}: {each.code}: {each.said}"
        for each in home.failures
        if not explain(each, harms)
    ]
