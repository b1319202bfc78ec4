"""Which repositories depend on which: cycles, and the graph as Mermaid draws it. Pure."""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

type Graph = Mapping[str, Sequence[str]]


def find_cycle(graph: Graph) -> list[str]:
    """Return a cycle, each depending on the next, its first again at the end; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        return cycle[::-1]
    return []


def find_dependents(graph: Graph, name: str) -> list[str]:
    """Return what depends on a repository, itself or through others, without it, by name."""
    found: set[str] = set()
    further = {name}
    while further:
        further = {each for each, needs in graph.items() if further & {*needs}} - found
        found |= further
    return sorted(found - {name})


def draw_mermaid(graph: Graph) -> str:
    """Return the graph as Mermaid, arrows from a repository to what it depends on."""
    names = sorted({*graph, *(other for others in graph.values() for other in others)})
    numbers = {name: f"r{number}" for number, name in enumerate(names)}
    lines = ["graph TD", *(f'    {numbers[name]}["{_escape(name)}"]' for name in names)]
    lines += [
        f"    {numbers[name]} --> {numbers[other]}"
        for name in names
        for other in graph.get(name, ())
    ]
    return "\n".join(lines) + "\n"


def _escape(name: str) -> str:
    return name.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
