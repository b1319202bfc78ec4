"""The commands of the crash suite, and what has to be there afterwards."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.crash.preparation import (
    AWAY,
    AwayStore,
    age_database,
    count_backups,
    count_restored,
    count_upgraded,
    end_server,
    export,
    forget,
    id_of,
    make_backup,
    remove_backups,
    spool_writes,
    store,
    write_documents,
)
from tests.support.command import Command, Word


@dataclass(frozen=True)
class Scenario:
    """
    A command that writes.

    `words` are the command for a key, which no other round has. `outcome`, SQL or a function, counts how much of it
    is there: `whole`, nothing, or where the command works in `parts` something between. `prepare` runs first.
    `spooled`: the command fills or empties the spool. `away`: it cannot reach PostgreSQL.
    """

    words: Callable[[Command, str], Sequence[Word]]
    outcome: str | Callable[[Command, str], int]
    whole: int = 1
    parts: bool = False
    prepare: Callable[[Command, str], object] = lambda _command, _key: None
    spooled: bool = False
    away: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the command, beyond that of the home."""
        return AWAY if self.away else {}

    def count(self, command: Command, key: str) -> int:
        """Return how much of the outcome is there."""
        if isinstance(self.outcome, str):
            return int(command.sql(self.outcome.format(key=key)))
        return self.outcome(command, key)


def _words(*words: str) -> Callable[[Command, str], Sequence[Word]]:
    """Return a command in which `{key}` and `{home}` are replaced."""
    return lambda command, key: [each.format(key=key, home=command.home) for each in words]


def _with_id(
    text: str, *words: str, table: str = "memories"
) -> Callable[[Command, str], Sequence[Word]]:
    """Return a command in which `{id}` is that of a memory."""
    return lambda command, key: [
        each.format(key=key, id=id_of(command, text.format(key=key), table)) for each in words
    ]


def _stored(text: str) -> Callable[[Command, str], object]:
    return lambda command, key: store(command, text.format(key=key))


SCENARIOS = {
    "store": Scenario(
        _words("memory", "store", "Text of {key}.", "--json"),
        "SELECT count(*) FROM memories WHERE content = 'Text of {key}.'",
    ),
    "supersede": Scenario(
        _with_id("Old {key}.", "memory", "supersede", "{id}", "New {key}.", "--json"),
        "SELECT count(*) FROM memories o JOIN memories n ON n.id = o.superseded_by"
        " WHERE o.content = 'Old {key}.' AND n.content = 'New {key}.' AND n.superseded_by IS NULL",
        prepare=_stored("Old {key}."),
    ),
    "forget": Scenario(
        _with_id("Gone {key}.", "memory", "forget", "{id}", "--json"),
        "SELECT 1 - count(*) FROM memories WHERE content = 'Gone {key}.'",
        prepare=_stored("Gone {key}."),
    ),
    "restore": Scenario(
        _with_id("Back {key}.", "memory", "restore", "{id}", "--json", table="forgotten_memories"),
        "SELECT count(*) FROM memories WHERE content = 'Back {key}.'",
        prepare=forget,
    ),
    "purge": Scenario(
        _with_id("Gone {key}.", "memory", "forget", "--purge", "--yes", "{id}", "--json"),
        "SELECT 1 - (SELECT count(*) FROM memories WHERE content = 'Gone {key}.')"
        " - (SELECT count(*) FROM forgotten_memories WHERE content = 'Gone {key}.')",
        prepare=_stored("Gone {key}."),
    ),
    "jsonl": Scenario(
        _words("memory", "import", "jsonl", "{home}/{key}.jsonl", "--json"),
        "SELECT count(*) FROM memories WHERE content LIKE 'Moved%{key}.'",
        whole=6,
        parts=True,
        prepare=export,
    ),
    "turn": Scenario(
        _words("session", "record", "Said in {key}.", "--session", "{key}", "--position", "0",
               "--role", "user", "--json"),
        "SELECT count(*) FROM agent_conversations t JOIN memories m ON m.id = t.memory_id"
        " WHERE t.session_id = '{key}' AND m.content = 'Said in {key}.'",
    ),
    "execution": Scenario(
        _words("workflow", "record", "{key}", "--workflow", "nightly", "--adapter", "script", "--status",
               "failed", "--error", "It broke.", "--started-at", "2026-01-01T00:00:00Z",
               "--finished-at", "2026-01-01T00:01:00Z", "--json"),
        "SELECT count(*) FROM workflow_executions e JOIN memories m ON m.id = e.memory_id"
        " WHERE e.execution_id = '{key}' AND e.status = 'failed'",
    ),
    "import": Scenario(
        _words("memory", "import", "markdown", "{home}/{key}", "--project", "{key}", "--json"),
        "SELECT count(DISTINCT content) FROM memories WHERE content LIKE '%in {key}.'",
        whole=12,
        parts=True,
        prepare=write_documents,
    ),
    "spool": Scenario(
        _words("memory", "store", "Text of {key}.", "--json"),
        AwayStore("Text of {key}."),
        prepare=end_server,
        spooled=True,
        away=True,
    ),
    "drain": Scenario(
        _words("spool", "drain", "--json"),
        "SELECT count(*) FROM memories WHERE content LIKE 'Waited % {key}.'",
        whole=8,
        parts=True,
        prepare=spool_writes,
        spooled=True,
    ),
    "backup create": Scenario(
        _words("backup", "create", "--json"), count_backups, prepare=remove_backups
    ),
    "backup restore": Scenario(
        _words("backup", "restore", "--yes", "--json"), count_restored, prepare=make_backup
    ),
    "upgrade": Scenario(_words("db", "upgrade", "--json"), count_upgraded, prepare=age_database),
}  # fmt: skip

# What must never be, counted: memories without the words or the change by which others find them, and doubles.
HALVES = """
SELECT (SELECT count(*) FROM memories m WHERE superseded_by IS NULL
        AND NOT EXISTS (SELECT FROM postings p WHERE p.memory_no = m.memory_no))
     + (SELECT count(*) FROM memories m
        WHERE NOT EXISTS (SELECT FROM changes c WHERE c.memory_id = m.id AND c.kind = 'stored'))
     + (SELECT count(*) FROM (SELECT FROM memories WHERE superseded_by IS NULL
                              GROUP BY scope_no, source_key, content_hash HAVING count(*) > 1) doubled)
"""
