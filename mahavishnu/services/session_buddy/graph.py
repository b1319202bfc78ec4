"""
Projects and what they depend on, in the knowledge graph of Session-Buddy.

An entity that is there answers an error, and a relation would be there twice: so that is looked up, by the ends that
both lists have in common. Nothing can be taken out of that graph.
"""

import re
from collections.abc import Mapping, Sequence

from mahavishnu.base.errors import Conflict
from mahavishnu.services.session_buddy.client import FIRST_S, SessionBuddy

type Dependencies = Mapping[str, Sequence[str]]
type _Ends = tuple[str, str]

RELATION = "depends_on"
_EXISTS = "already exists"
_ID = r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_EDGE = re.compile(rf"{_ID} (?:<--|--)\[{RELATION}\](?:-->|--) {_ID}")


class ProjectGraph:
    """Keeps the graph of one server; it remembers what is there as long as the data are the same."""

    def __init__(self, buddy: SessionBuddy) -> None:
        self._buddy = buddy
        self._data: str | None = None
        self._entities: set[str] = set()
        self._relations: set[_Ends] = set()

    async def keep(self, projects: Dependencies, data: str) -> None:
        """Have an entity for each project and a relation for each dependency; raises as `SessionBuddy.call`."""
        if data != self._data:
            self._data, self._entities, self._relations = data, set(), set()
        names = {*projects, *(other for others in projects.values() for other in others)}
        for name in sorted(names - self._entities):
            await self._add_entity(name)
            self._entities.add(name)
        wanted = {(name, other) for name, others in projects.items() for other in others}
        for ends in sorted(wanted - self._relations):
            await self._add_relation(*ends)
            self._relations.add(ends)

    async def _add_entity(self, name: str) -> None:
        try:
            await self._call("create_entity", name=name, entity_type="project")
        except Conflict as error:
            if _EXISTS not in error.message:
                raise

    async def _add_relation(self, name: str, other: str) -> None:
        if not await self._edges(name, "outgoing") & await self._edges(other, "incoming"):
            ends = {"from_entity": name, "to_entity": other}
            await self._call("create_relation", **ends, relation_type=RELATION)

    async def _edges(self, name: str, direction: str) -> set[frozenset[str]]:
        told = await self._call(
            "get_entity_relationships",
            entity_name=name,
            relation_type=RELATION,
            direction=direction,
        )
        return {frozenset(ends) for ends in _EDGE.findall(told)}

    async def _call(self, tool: str, **arguments: str) -> str:
        return (await self._buddy.call(tool, arguments, timeout_s=FIRST_S)).text
