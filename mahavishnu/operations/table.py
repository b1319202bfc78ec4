"""The operations that every interface offers; those on AI clients with the words a model chooses by."""

from typing import Any

from mahavishnu.operations import environment_requests, environment_results, environments
from mahavishnu.operations.memory_table import MEMORY_OPERATIONS
from mahavishnu.operations.operation import Operation
from mahavishnu.operations.repositories import REPOSITORY_OPERATIONS

OPERATIONS: tuple[Operation[Any, Any], ...] = (
    *MEMORY_OPERATIONS,
    *REPOSITORY_OPERATIONS,
    Operation(
        name="list_llms",
        title="List LLM profiles",
        description="The providers and models that AI clients on this machine (Claude Code, Codex, "
        "Qwen Code) can be switched to: names, where each one's key is (never the key) and whether "
        "it is there, and which client uses which.",
        request=environment_requests.ListLlms,
        result=environment_results.Profiles,
        run=environments.list_llms,
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
        run=environments.llm_status,
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
        run=environments.switch_llm,
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
        run=environments.undo_switch,
        method="POST",
        path="/llms/undo",
        destructive=True,
    ),
)
