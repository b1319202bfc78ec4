"""What can be asked of memories and records, with the words a model chooses by."""

from typing import Any

from mahavishnu.operations import (
    conversations,
    imports,
    memory,
    metrics,
    record_requests,
    records,
    requests,
    results,
    transfer,
    workflow_requests,
    workflows,
)
from mahavishnu.operations.backup import BACKUP_OPERATIONS
from mahavishnu.operations.checkpoints import CHECKPOINT_OPERATIONS
from mahavishnu.operations.forgetting import FORGETTING_OPERATIONS
from mahavishnu.operations.insights import INSIGHT_OPERATIONS
from mahavishnu.operations.integrity import CHECK_DATABASE
from mahavishnu.operations.operation import LocalOperation, Operation
from mahavishnu.operations.projects import LOCAL_PROJECT_OPERATIONS
from mahavishnu.operations.repositories import LOCAL_REPOSITORY_OPERATIONS, REPOSITORY_OPERATIONS
from mahavishnu.operations.spool import SPOOL_OPERATIONS
from mahavishnu.operations.sync import SYNC_OPERATIONS

MEMORY_OPERATIONS: tuple[Operation[Any, Any], ...] = (
    Operation(
        name="search",
        title="Search memories",
        description="Find what was remembered about a subject: decisions and their reasons, past "
        "conversations, documents, code and runs of workflows, from all earlier sessions and tools. "
        "Call it before answering questions about this project, its history or the user's "
        "preferences, and before deciding something that may have been decided already. Ask in "
        "plain words; meaning and words both count. Returns the best memories first, within "
        "max_tokens. An empty list means that nothing is remembered about it; `degraded` says what "
        "part of the search could not take part.",
        request=requests.Search,
        result=results.SearchAnswer,
        run=memory.search,
        method="POST",
        path="/search",
        read_only=True,
    ),
    Operation(
        name="store_memory",
        title="Store a memory",
        description="Remember a text for later sessions: a decision with its reasons, a preference "
        "of the user, how something works, what was tried and failed. One subject a memory, with "
        "the names that someone would search for. Do not store secrets, or what the repository "
        "says itself. The same text again gives the id that it has already, so repeating is safe. "
        "To correct a memory use supersede_memory.",
        request=requests.StoreMemory,
        result=results.StoreResult,
        run=memory.store_memory,
        method="POST",
        path="/memories",
    ),
    Operation(
        name="store_unified_memory",
        title="Store a memory with a vector",
        description="As store_memory, for programs that bring an embedding of their own or keep "
        "everything but the text in metadata. The embedding must be of the model in use (see "
        "memory_stats) and have its length; without one the text is embedded here. If you are "
        "not such a program, use store_memory.",
        request=requests.StoreUnifiedMemory,
        result=results.StoreResult,
        run=memory.store_unified_memory,
        method="POST",
        path="/unified-memories",
    ),
    Operation(
        name="get_memory",
        title="Read one memory",
        description="Read a memory whole by its id, for example one that search cut short "
        "(`truncated`). A long one comes in parts: ask again with start = char_end. Also reads "
        "memories that were superseded, and says by which.",
        request=requests.GetMemory,
        result=results.MemoryPart,
        run=memory.get_memory,
        method="GET",
        path="/memories/{id}",
        read_only=True,
    ),
    Operation(
        name="list_memories",
        title="List memories by time",
        description="List memories newest first, narrowed by project, time, agent, session or "
        "metadata: for what happened lately or in a session. For a subject use search. More are on "
        "the next page while next_cursor is there.",
        request=requests.ListMemories,
        result=results.MemoryPage,
        run=memory.list_memories,
        method="GET",
        path="/memories",
        read_only=True,
    ),
    Operation(
        name="supersede_memory",
        title="Correct a memory",
        description="Replace the text of a memory that is no longer true. The new text takes its "
        "place in every search; the old one is kept and can be read by its id. Everything else "
        "(project, metadata) stays. Prefer this to storing a second memory that contradicts the "
        "first.",
        request=requests.SupersedeMemory,
        result=results.SupersedeResult,
        run=memory.supersede_memory,
        method="POST",
        path="/memories/{id}/supersede",
    ),
    *FORGETTING_OPERATIONS,
    Operation(
        name="memory_stats",
        title="Count memories",
        description="How many memories there are by type, collection and project, how many wait "
        "for their vectors, and which embedding model is in use. Tells what projects exist.",
        request=requests.MemoryStats,
        result=results.Stats,
        run=memory.memory_stats,
        method="GET",
        path="/stats",
        read_only=True,
    ),
    Operation(
        name="record_turn",
        title="Record a turn of a conversation",
        description="Keep what was said in a session, turn by turn, so that later sessions find it. "
        "A turn is known by its session and position: recorded again with another text, as when a "
        "reply has come to its end, the later text takes its place. For a decision or a fact use "
        "store_memory.",
        request=record_requests.RecordTurn,
        result=records.RecordedTurn,
        run=records.record_turn,
        method="POST",
        path="/turns",
    ),
    Operation(
        name="list_sessions",
        title="List recorded conversations",
        description="Which conversations with agents were recorded: how each began, who took part, "
        "which models answered, how many turns, when. The latest first; more are on the next page "
        "while next_cursor is there. get_session reads one. For a subject use search with "
        "collections [conversation].",
        request=conversations.ListSessions,
        result=results.SessionPage,
        run=conversations.list_sessions,
        method="GET",
        path="/sessions",
        read_only=True,
    ),
    Operation(
        name="get_session",
        title="Read a recorded conversation",
        description="What was said in a session, turn by turn, in order: for example around a turn "
        "that search found, whose session_id it gives. A long one comes in parts: ask again with "
        "start = next_start while that is there.",
        request=conversations.GetSession,
        result=results.SessionPart,
        run=conversations.get_session,
        method="GET",
        path="/turns",
        read_only=True,
    ),
    Operation(
        name="record_execution",
        title="Record a run of a workflow",
        description="Keep that a workflow runs, or how a run ended: its status, result, error and "
        "the repositories it worked on. A run is known by its adapter, execution_id and project; "
        "report it again whenever its status changes. One that has ended is found by search.",
        request=record_requests.RecordExecution,
        result=records.Recorded,
        run=records.record_execution,
        method="POST",
        path="/executions",
    ),
    Operation(
        name="search_workflows",
        title="Find runs of workflows",
        description="Find runs of workflows: what ran, on which repositories, how long it took, how it "
        "ended and why it failed; without a query the newest. with_context adds what was said and "
        "committed about each run afterwards: for what failed lately, and what was done about it.",
        request=workflow_requests.SearchWorkflows,
        result=workflow_requests.WorkflowAnswer,
        run=workflows.search_workflows,
        method="POST",
        path="/executions/search",
        read_only=True,
    ),
    Operation(
        name="get_execution",
        title="Read one run of a workflow",
        description="Read a run of a workflow by its id, with its result, its whole error and its "
        "metadata.",
        request=workflow_requests.GetExecution,
        result=workflow_requests.ExecutionDetails,
        run=workflows.get_execution,
        method="GET",
        path="/executions/{id}",
        read_only=True,
    ),
    Operation(
        name="workflow_stats",
        title="Count runs by workflow",
        description="How the runs of each workflow ended, how long they took and how the last one "
        "went: for whether a workflow can be relied on.",
        request=workflow_requests.WorkflowStats,
        result=workflow_requests.WorkflowCountsAnswer,
        run=workflows.workflow_stats,
        method="GET",
        path="/workflows",
        read_only=True,
    ),
    Operation(
        name="record_metrics",
        title="Record what was measured",
        description="Keep figures of a component at one moment, such as latency and errors, and its "
        "state in words, such as healthy. Searches do not find metrics; they are there for "
        "reports.",
        request=record_requests.RecordMetrics,
        result=records.Recorded,
        run=records.record_metrics,
        method="POST",
        path="/metrics",
        idempotent=False,  # without recorded_at
    ),
    Operation(
        name="show_metrics",
        title="Show what was measured",
        description="How components have done since a time: their last state, latency, memory, errors "
        "and other figures, with medians and p95; and whether the engines (Prefect, Agno, LlamaIndex) "
        "are on, installed, and how their last runs ended. Searches and the embedding of this memory "
        "are the components search and embedding; runs of a workflow are workflow_ID.",
        request=metrics.ShowMetrics,
        result=metrics.MetricsAnswer,
        run=metrics.show_metrics,
        method="GET",
        path="/metrics",
        read_only=True,
    ),
    CHECK_DATABASE,
)

# Only commands offer these: imports, exports and repositories use any path of this machine, select_memories would let
# a model forget by a filter, and embed_waiting takes as long as there is work.
LOCAL_OPERATIONS: tuple[LocalOperation[Any, Any], ...] = (
    LocalOperation(
        name="import_markdown",
        request=imports.ImportMarkdown,
        result=imports.Imported,
        run=imports.import_markdown,
    ),
    LocalOperation(
        name="import_git",
        request=imports.ImportGit,
        result=imports.Imported,
        run=imports.import_git,
    ),
    LocalOperation(
        name="export_memories",
        request=transfer.ExportMemories,
        result=transfer.Exported,
        run=transfer.export_memories,
    ),
    LocalOperation(
        name="import_memories",
        request=transfer.ImportMemories,
        result=transfer.ImportedLines,
        run=transfer.import_memories,
    ),
    LocalOperation(
        name="select_memories",
        request=requests.Where,
        result=results.Selected,
        run=memory.select_memories,
    ),
    LocalOperation(
        name="embed_waiting",
        request=requests.EmbedWaiting,
        result=results.Embedded,
        run=memory.embed_waiting,
    ),
    *LOCAL_REPOSITORY_OPERATIONS,
    *LOCAL_PROJECT_OPERATIONS,
)

BY_NAME: dict[str, Operation[Any, Any] | LocalOperation[Any, Any]] = {
    **{
        each.name: each
        for each in (
            *MEMORY_OPERATIONS,
            *REPOSITORY_OPERATIONS,
            *INSIGHT_OPERATIONS,
            *CHECKPOINT_OPERATIONS,
            *SYNC_OPERATIONS,
            *SPOOL_OPERATIONS,
            *BACKUP_OPERATIONS,
        )
    },
    **{each.name: each for each in LOCAL_OPERATIONS},
}
