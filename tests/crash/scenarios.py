"""What is killed, and what has to be there afterwards."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.support.command import Command, Word

type Say = Callable[[str], Sequence[Word]]


@dataclass(frozen=True)
class Scenario:
    """
    A command that writes.

    `words` are the command for a key, which no other round has. `rows` is SQL that counts how much of the outcome is
    there: `whole`, nothing, or where the command works in `parts` something between. `prepare` comes before.
    """

    words: Callable[[Command, str], Sequence[Word]]
    rows: str
    whole: int = 1
    parts: bool = False
    prepare: Callable[[Command, str], object] = lambda _command, _key: None

    def count(self, command: Command, key: str) -> int:
        """Return how much of the outcome is there."""
        return int(command.sql(self.rows.format(key=key)))


def _store(command: Command, text: str) -> str:
    return str(command("memory", "store", text, "--json").json["id"])


def _id_of(command: Command, text: str) -> str:
    return command.sql(f"SELECT id FROM memories WHERE content = '{text}'")


def _forget(command: Command, key: str) -> None:
    command("memory", "forget", _store(command, f"Back {key}."))


def _forgotten_id(command: Command, key: str) -> str:
    return command.sql(f"SELECT id FROM forgotten_memories WHERE content = 'Back {key}.'")


def _export(command: Command, key: str) -> None:
    for number in range(3):
        kept = _store(command, f"Moved {number} {key}.")
        command("memory", "supersede", kept, f"Moved on {number} {key}.")
    ids = [
        each["id"] for each in command("memory", "list", "--limit", "3", "--json").json["memories"]
    ]
    command("memory", "export", command.home / f"{key}.jsonl")
    assert command("memory", "forget", "--purge", "--yes", *ids).status == 0


def _write_documents(command: Command, key: str) -> None:
    folder = command.home / key
    folder.mkdir()
    for number in range(3):
        sections = (f"# Section {part}\n\nText {part} of {number} in {key}." for part in range(4))
        (folder / f"{number}.md").write_text("\n\n".join(sections))


SCENARIOS = {
    "store": Scenario(
        lambda _, key: ["memory", "store", f"Text of {key}.", "--json"],
        "SELECT count(*) FROM memories WHERE content = 'Text of {key}.'",
    ),
    "supersede": Scenario(
        lambda command, key: ["memory", "supersede", _id_of(command, f"Old {key}."), f"New {key}.", "--json"],
        "SELECT count(*) FROM memories o JOIN memories n ON n.id = o.superseded_by"
        " WHERE o.content = 'Old {key}.' AND n.content = 'New {key}.' AND n.superseded_by IS NULL",
        prepare=lambda command, key: _store(command, f"Old {key}."),
    ),
    "forget": Scenario(
        lambda command, key: ["memory", "forget", _id_of(command, f"Gone {key}."), "--json"],
        "SELECT 1 - count(*) FROM memories WHERE content = 'Gone {key}.'",
        prepare=lambda command, key: _store(command, f"Gone {key}."),
    ),
    "restore": Scenario(
        lambda command, key: ["memory", "restore", _forgotten_id(command, key), "--json"],
        "SELECT count(*) FROM memories WHERE content = 'Back {key}.'",
        prepare=_forget,
    ),
    "purge": Scenario(
        lambda command, key: ["memory", "forget", "--purge", "--yes", _id_of(command, f"Gone {key}."), "--json"],
        "SELECT 1 - (SELECT count(*) FROM memories WHERE content = 'Gone {key}.')"
        " - (SELECT count(*) FROM forgotten_memories WHERE content = 'Gone {key}.')",
        prepare=lambda command, key: _store(command, f"Gone {key}."),
    ),
    "jsonl": Scenario(
        lambda command, key: ["memory", "import", "jsonl", command.home / f"{key}.jsonl", "--json"],
        "SELECT count(*) FROM memories WHERE content LIKE 'Moved%{key}.'",
        whole=6,
        parts=True,
        prepare=_export,
    ),
    "turn": Scenario(
        lambda _, key: ["session", "record", f"Said in {key}.", "--session", key, "--position", "0",
                        "--role", "user", "--json"],
        "SELECT count(*) FROM agent_conversations t JOIN memories m ON m.id = t.memory_id"
        " WHERE t.session_id = '{key}' AND m.content = 'Said in {key}.'",
    ),
    "execution": Scenario(
        lambda _, key: ["workflow", "record", key, "--workflow", "nightly", "--adapter", "script", "--status",
                        "failed", "--error", "It broke.", "--started-at", "2026-01-01T00:00:00Z",
                        "--finished-at", "2026-01-01T00:01:00Z", "--json"],
        "SELECT count(*) FROM workflow_executions e JOIN memories m ON m.id = e.memory_id"
        " WHERE e.execution_id = '{key}' AND e.status = 'failed'",
    ),
    "import": Scenario(
        lambda command, key: ["memory", "import", "markdown", command.home / key, "--project", key, "--json"],
        "SELECT count(DISTINCT content) FROM memories WHERE content LIKE '%in {key}.'",
        whole=12,
        parts=True,
        prepare=_write_documents,
    ),
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
