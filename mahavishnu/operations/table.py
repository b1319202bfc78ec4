"""The operations that every interface offers; those on AI clients with the words a model chooses by."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from mahavishnu.operations.ai import auto, switching
from mahavishnu.operations.ai import requests as environment_requests
from mahavishnu.operations.ai import results as environment_results
from mahavishnu.operations.ai import state as environments
from mahavishnu.operations.ai.gateway import GATEWAY_OPERATIONS
from mahavishnu.operations.ai.results import Whole
from mahavishnu.operations.ai.site import Environments
from mahavishnu.operations.alerts import ALERT_OPERATIONS
from mahavishnu.operations.automation import AUTOMATION_OPERATIONS
from mahavishnu.operations.backup import BACKUP_OPERATIONS
from mahavishnu.operations.checkpoints import CHECKPOINT_OPERATIONS
from mahavishnu.operations.events import EVENT_OPERATIONS
from mahavishnu.operations.health import HEALTH_OPERATIONS
from mahavishnu.operations.insights import INSIGHT_OPERATIONS
from mahavishnu.operations.memory_table import MEMORY_OPERATIONS
from mahavishnu.operations.operation import Call, Operation
from mahavishnu.operations.repositories import REPOSITORY_OPERATIONS
from mahavishnu.operations.services import SERVICE_OPERATIONS
from mahavishnu.operations.spool import SPOOL_OPERATIONS
from mahavishnu.operations.sync import SYNC_OPERATIONS


def _in_thread[Q, R](work: Callable[[Environments, Q], R]) -> Callable[[Call, Q], Awaitable[R]]:
    """
    Return work on AI clients as an operation: files are waited for in a thread, so that nobody else waits.

    The settings are read again for each call: a profile that was just added counts.
    """

    async def run(call: Call, request: Q) -> R:
        return await asyncio.to_thread(
            lambda: work(Environments.outside_projects(call.app.loaded), request)
        )

    return run


ENVIRONMENT_OPERATIONS: tuple[Operation[Any, Any], ...] = (
    Operation(
        name="list_llms",
        title="List LLM profiles",
        description="The providers and models that AI clients on this machine (Claude Code, Codex, "
        "Qwen Code) can be switched to: names, where each one's key is (never the key) and whether "
        "it is there, and which client uses which.",
        request=environment_requests.ListLlms,
        result=environment_results.Profiles,
        run=_in_thread(environments.find_profiles),
        method="GET",
        path="/llms",
        read_only=True,
    ),
    Operation(
        name="llm_status",
        title="Which provider each client uses",
        description="What Claude Code, Codex and Qwen Code are really set to, what was changed in "
        "their settings since a switch, and the last switches with their ids for undo_switch.",
        request=environment_requests.LlmStatus,
        result=environment_results.LlmState,
        run=_in_thread(environments.find_state),
        method="GET",
        path="/llms/status",
        read_only=True,
    ),
    Operation(
        name="switch_llm",
        title="Switch AI clients to another provider",
        description="Point the AI clients on this machine at the provider of a profile: address, "
        "key and models as one. This may be the client that you run in. Without confirm=true "
        "nothing is written: the answer says what would change; show that to the user and confirm "
        "only when they agree. undo_switch takes it back.",
        request=environment_requests.SwitchLlm,
        result=environment_results.SwitchResult,
        run=_in_thread(switching.make_switch),
        method="POST",
        path="/llms/switch",
        destructive=True,
    ),
    Operation(
        name="undo_switch",
        title="Take a switch back",
        description="Give AI clients the settings back that a switch changed, and nothing else. "
        "Without confirm=true nothing is written: the answer says what would be taken back; "
        "confirm only when the user agrees.",
        request=environment_requests.UndoSwitch,
        result=environment_results.UndoResult,
        run=_in_thread(switching.take_back),
        method="POST",
        path="/llms/undo",
        destructive=True,
    ),
    Operation(
        name="auto_status",
        title="How failover stands",
        description="Whether AI clients fall back to another profile where theirs fails, which profiles "
        "follow in which order and how each stands, and which clients were switched so.",
        request=auto.AutoStatus,
        result=auto.AutoState,
        run=_in_thread(auto.auto_status),
        method="GET",
        path="/llms/auto",
        read_only=True,
    ),
    Operation(
        name="set_auto",
        title="Turn failover on or off",
        description="Say what is done where the profile of an AI client fails: on (switch to the next of "
        "ai_environments.fallback, and back), pinned (report it and stay), or off. Only where the user asks for it.",
        request=auto.SetAuto,
        result=auto.AutoState,
        run=_in_thread(auto.set_auto),
        method="POST",
        path="/llms/auto",
        destructive=True,
    ),
)
OPERATIONS: tuple[Operation[Any, Any], ...] = (
    *MEMORY_OPERATIONS,
    *REPOSITORY_OPERATIONS,
    *INSIGHT_OPERATIONS,
    *CHECKPOINT_OPERATIONS,
    *SYNC_OPERATIONS,
    *SPOOL_OPERATIONS,
    *BACKUP_OPERATIONS,
    *HEALTH_OPERATIONS,
    *EVENT_OPERATIONS,
    *AUTOMATION_OPERATIONS,
    *ALERT_OPERATIONS,
    *SERVICE_OPERATIONS,
    *ENVIRONMENT_OPERATIONS,
    *GATEWAY_OPERATIONS,
)


class Tool(Whole, frozen=True, kw_only=True):
    """An operation as models see it."""

    name: str
    title: str
    description: str
    read_only: bool
    destructive: bool
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]


class Tools(Whole, frozen=True, kw_only=True):
    """The tools."""

    tools: list[Tool]


def list_tools() -> Tools:
    """Return all operations as models see them."""
    return Tools(tools=[Tool.like(each) for each in OPERATIONS])
