"""In which order units are started: what one depends on comes before it."""

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from mahavishnu.base.errors import MahavishnuError, NotFound, UsageError
from mahavishnu.services.units.unit import Unit


def order_units(units: Mapping[str, Unit], names: Iterable[str], *, needed: bool) -> list[str]:
    """
    Return names of units so that each comes after what it depends on; with `needed` those dependencies too.

    Raises:
        UsageError: `service.cycle`, naming the units that depend on each other.
        NotFound: `service.unknown`, also for what one depends on.
    """
    wanted, graph, waiting = set(names), {}, list(names)
    while waiting:
        name = waiting.pop()
        if name not in graph:
            graph[name] = find_unit(units, name).depends_on
            waiting += graph[name]
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise UsageError(
            f"These services depend on each other: {' -> '.join(reversed(error.args[1]))}.",
            hint="Take one of them out of depends_on.",
            code="service.cycle",
        ) from error
    return [name for name in order if needed or name in wanted]


def find_order_problem(units: Mapping[str, Unit], name: str) -> MahavishnuError | None:
    """Return what keeps a unit from ever being started in order; None where nothing does."""
    try:
        order_units(units, [name], needed=True)
    except MahavishnuError as error:
        return error
    return None


def find_dependents(units: Mapping[str, Unit], names: Iterable[str]) -> list[str]:
    """Return the names of units that need one of these to run, also by way of others; not these themselves."""
    found, waiting = (
        set(names),
        [name for name in names if not (name in units and units[name].shared)],
    )
    while waiting:
        name = waiting.pop()
        needing = {each.name for each in units.values() if name in each.depends_on} - found
        found |= needing
        waiting += needing
    return sorted(found - set(names))


def find_unit(units: Mapping[str, Unit], name: str) -> Unit:
    """Return the unit of a name; raises `NotFound` (`service.unknown`)."""
    if name not in units:
        raise NotFound(
            f"There is no service {name}.",
            hint="List them with: mahavishnu service list",
            code="service.unknown",
        )
    return units[name]
