"""
Whether a session may go on in a bound directory: the decision behind `mahavishnu-guard`.

    mahavishnu-guard CLIENT --directories FILE

These words are in other programs' settings: they are read by every later release. Outside of bound
directories nothing is looked at but that file. Inside, whatever cannot be decided is a no.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from mahavishnu.ai.bindings.location import copy_of
from mahavishnu.ai.bindings.match import Unresolved, find_binding
from mahavishnu.ai.bindings.routed import by_route, find_route
from mahavishnu.ai.bindings.store import Binding, Bindings, Unreadable, read_bindings
from mahavishnu.ai.clients.facts import Expected
from mahavishnu.ai.clients.hook_call import HookCall, Undecided
from mahavishnu.ai.clients.table import facts_of
from mahavishnu.base.masking import mask_url

PROGRAM = "mahavishnu-guard"
# Only these look whether the profile is still what it was; the others come in the middle of a turn.
_ASKS_PROFILE = ("SessionStart", "UserPromptSubmit")

type FindExpected = Callable[[Binding], Mapping[str, Expected]]


def judge(call: HookCall, file: Path, current: FindExpected) -> str | None:
    """
    Return why the session must not go on, for its user to read; None where it may.

    `current` gives what the profile of a binding says now, and raises a MahavishnuError where it is gone.
    """
    try:
        known = _read(file)
    except Unreadable:
        return (
            f"Mahavishnu cannot read which directories are bound to a profile: {file} is gone or damaged."
            " To start over: mahavishnu ai unbind --all"
        )
    try:
        touched = list(dict.fromkeys(_find_touched(call, known.rows)))
    except Unresolved:
        return (
            "Mahavishnu cannot tell whether this directory is bound to a profile: a .git on the way to it leads"
            " nowhere. Fix it with: git worktree repair"
        )
    for number in touched:
        binding = known.rows[number]
        reasons = list(_find_reasons(call, binding, file, current))
        if reasons:
            return _tell(call, binding, reasons)
    return None


def _read(file: Path) -> Bindings:
    """Return the bindings; the guard is called only where there were some once."""
    known = read_bindings(file)
    if not known.rows and not (file.exists() or copy_of(file).exists()):
        raise Unreadable
    return known


def _find_touched(call: HookCall, rows: Sequence[Binding]) -> Iterator[int]:
    """Yield the bindings of all folders that the session has to do with, as places in `rows`."""
    for folder in call.folders():
        found = find_binding(folder, rows)
        if found is not None:
            yield rows.index(found)
    for text in call.maybe_folders():
        with suppress(Unresolved, ValueError):  # it may be no path at all
            found = find_binding(text, rows)
            if found is not None:
                yield rows.index(found)
    yield from (number for number, row in enumerate(rows) if call.names(row.folder.path))


def _find_reasons(
    call: HookCall, binding: Binding, file: Path, current: FindExpected
) -> Iterator[str]:
    expected = binding.clients.get(call.client)
    if expected is None:
        yield "the profile is not for this client"
        return
    if call.event in _ASKS_PROFILE and current(binding).get(call.client) != expected:
        command = f"mahavishnu ai bind {binding.profile} {binding.folder.path}"
        yield f"the profile was changed since; to take that over: {command}"
        return
    try:
        yield from _find_faults(call, binding.profile, expected, file)
    except Undecided as reason:
        yield str(reason)


def _find_faults(call: HookCall, profile: str, expected: Expected, file: Path) -> Sequence[str]:
    """Return what the session does not use as it has to: straight, or through the gateway."""
    client = import_module(facts_of(call.client).in_force)
    threads = file.parent / "threads"
    faults: list[str] = client.find_faults(call, expected, profile, threads)
    route = find_route(file, call.client) if faults else None
    if route is None or expected.native:
        return faults
    others: list[str] = client.find_faults(call, by_route(file, route, expected), profile, threads)
    if others:
        return faults
    if route.only_profile == profile:
        return []
    return [f"the gateway takes its requests to {' or '.join(route.names)}"]


def _tell(call: HookCall, binding: Binding, reasons: Sequence[str]) -> str:
    told = "; ".join(" ".join(map(mask_url, each.split(" "))) for each in reasons)
    return (
        f"{binding.folder.path} is bound to the profile {binding.profile}, and this session does not use"
        f" it: {told}. Start it with: mahavishnu ai run {binding.profile} -- {facts_of(call.client).program}"
    )
