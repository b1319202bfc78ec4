"""The tools by which an agent remembers and recalls by itself."""

from typing import TYPE_CHECKING, Any

import msgspec
from agno.agent import Agent
from agno.run import RunContext
from agno.tools import Toolkit

from mahavishnu.base.errors import MahavishnuError, NotFound
from mahavishnu.engines.agno.turns import SOURCE
from mahavishnu.engines.background import BackgroundApp
from mahavishnu.memory.checks import clean_name
from mahavishnu.memory.models import MemoryFilter, NewMemory
from mahavishnu.memory.search import SearchRequest

if TYPE_CHECKING:
    from mahavishnu import App

INSTRUCTIONS = (
    "You have a memory that outlives this conversation. Call recall before you answer what earlier "
    "conversations may have settled. Call remember for decisions with their reasons, preferences of the "
    "user and facts that will matter later; never for secrets."
)
MAX_TOKENS = 2_000  # of what recall gives


class MemoryTools(Toolkit):
    """
    `remember` and `recall`; where the memory is away they say so, and the run goes on.

    They wait in the thread that they are called in. Agno gives them one in a run with an event loop.
    """

    def __init__(self, background: BackgroundApp, *, project: str | None) -> None:
        self._background = background
        self._project = project
        super().__init__(
            name="mahavishnu_memory",
            tools=[self.remember, self.recall],
            instructions=INSTRUCTIONS,
            add_instructions=True,
        )

    def remember(self, content: str, run_context: RunContext, agent: Agent) -> str:
        """
        Remember a fact, a decision or a preference for later conversations.

        Args:
            content: What to remember, one subject, in words that someone would search for.
        """
        try:
            return self._background.ask(lambda app: self._store(app, content, run_context, agent))
        except MahavishnuError as error:
            return _excuse(error)

    def recall(self, query: str) -> str:
        """
        Find what was remembered or said about a subject in earlier conversations, best first.

        Args:
            query: What you look for, in plain words.
        """
        try:
            return self._background.ask(lambda app: self._search(app, query))
        except MahavishnuError as error:
            return _excuse(error)

    async def _store(self, app: "App", content: str, run_context: RunContext, agent: Any) -> str:
        stored = await app.memories.store(
            NewMemory(
                content=content,
                source_system=SOURCE,
                project=self._project,
                agent_id=clean_name(getattr(agent, "id", None)),
                session_id=clean_name(run_context.session_id),
            )
        )
        return "Remembered." if stored.created else "This was remembered before."

    async def _search(self, app: "App", query: str) -> str:
        wanted = MemoryFilter(projects=(self._project,) if self._project else ())
        try:
            result = await app.search(
                SearchRequest(query=query, wanted=wanted, max_tokens=MAX_TOKENS)
            )
        except NotFound:  # nothing was stored in the project yet
            return "Nothing is remembered about it."
        found = [
            {
                "content": hit.memory.content,
                "when": hit.memory.occurred_at,
                "score": round(hit.score, 3),
            }
            for hit in result.hits
        ]
        return msgspec.json.encode(found).decode() if found else "Nothing is remembered about it."


def _excuse(error: MahavishnuError) -> str:
    return f"The memory did not do this: {error.message} Go on without it."
