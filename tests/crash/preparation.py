"""What runs before the command of a scenario, and what counts its outcome where SQL alone cannot."""

import asyncio
import os
import random
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from mahavishnu.database.migrate import HEAD
from mahavishnu.memory.conversations import NewTurn
from mahavishnu.memory.models import NewMemory
from mahavishnu.memory.spool.entries import read_back, write_down
from mahavishnu.memory.spool.file import SpoolFile
from tests.support.command import Command
from tests.support.daemon import servers, wait_until

AWAY = {"MAHAVISHNU_PG_BINARIES": "/nowhere"}  # where no server runs
OLD = sorted(
    path for path in (Path(__file__).parents[1] / "fixtures").glob("*.sql") if path.stem != HEAD
)


def store(command: Command, text: str) -> str:
    return str(command("memory", "store", text, "--json").json["id"])


def id_of(command: Command, text: str, table: str = "memories") -> str:
    return command.sql(f"SELECT id FROM {table} WHERE content = '{text}'")


def forget(command: Command, key: str) -> None:
    command("memory", "forget", store(command, f"Back {key}."))


def export(command: Command, key: str) -> None:
    for number in range(3):
        kept = store(command, f"Moved {number} {key}.")
        command("memory", "supersede", kept, f"Moved on {number} {key}.")
    listed = command("memory", "list", "--limit", "3", "--json").json["memories"]
    command("memory", "export", command.home / f"{key}.jsonl")
    ids = [each["id"] for each in listed]
    assert command("memory", "forget", "--purge", "--yes", *ids).status == 0


def write_documents(command: Command, key: str) -> None:
    folder = command.home / key
    folder.mkdir()
    for number in range(3):
        sections = (f"# Section {part}\n\nText {part} of {number} in {key}." for part in range(4))
        (folder / f"{number}.md").write_text("\n\n".join(sections))


def end_server(command: Command, _key: str = "") -> None:
    """Stop the database's server, and wait until it has ended."""
    running = servers(command)
    for process in running[:1]:  # the keeper, which stops the other
        os.kill(process.pid, signal.SIGTERM)
    wait_until(lambda: not any(process.alive for process in running))


def spool_of(command: Command) -> SpoolFile:
    return SpoolFile(command.root / "data")


def spool_writes(command: Command, key: str) -> None:
    """Put memories and turns into the spool; one of the texts is stored already."""
    store(command, f"Waited 0 {key}.")
    texts = [f"Waited {number} {key}." for number in range(8)]
    writes = [
        NewMemory(content=text)
        if number < 2 or number > 5
        else NewTurn(session_id=key, position=number, role="user", content=text)
        for number, text in enumerate(texts)
    ]
    spool_of(command).append([write_down(each, "embedded") for each in writes])


@dataclass(frozen=True)
class AwayStore:
    """Counts a memory that waits or is stored."""

    text: str

    def __call__(self, command: Command, key: str) -> int:
        text = self.text.format(key=key)
        waiting = spool_of(command).read("embedded", limit=1000)
        if any(read_back(each).content == text for each in waiting):
            return 1
        return int(command.sql(f"SELECT count(*) FROM memories WHERE content = '{text}'"))


def remove_backups(command: Command, _key: str) -> None:
    shutil.rmtree(command.root / "data/backups", ignore_errors=True)


def count_backups(command: Command, _key: str) -> int:
    """Return 1 where there are sets; asserts that each of them is whole."""
    listed = command("backup", "list", "--json").json["sets"]
    for each in listed:
        assert "problem" not in each, each
        assert command("backup", "verify", each["set"], "--json").status == 0, each
    return min(1, len(listed))


def make_backup(command: Command, key: str) -> None:
    """Make a set, and store something that it does not have."""
    remove_backups(command, key)
    store(command, f"In the set {key}.")
    assert command("backup", "create").status == 0
    store(command, f"After the set {key}.")


def count_restored(command: Command, key: str) -> int:
    """Return 1 for the database of the set, 0 for the one before; asserts that it is one of them, whole."""
    count = "SELECT count(*) FROM memories WHERE content = '{} the set {}.'"
    before, after = (int(command.sql(count.format(word, key))) for word in ("In", "After"))
    assert before == 1, key
    return 1 - after


def age_database(command: Command, key: str) -> None:
    """Replace the database by a filled one of an old release."""
    url = command("db", "url").out.strip()
    dump = random.Random(key).choice(OLD).read_text()
    asyncio.run(_replace_database(url.replace("mahavishnu@", "postgres@", 1), dump))


async def _replace_database(url: str, dump: str) -> None:
    admin = await asyncpg.connect(url.replace("/mahavishnu?", "/postgres?", 1))
    await admin.execute("DROP DATABASE mahavishnu WITH (FORCE)")
    await admin.execute("CREATE DATABASE mahavishnu OWNER mahavishnu")
    await admin.close()
    inside = await asyncpg.connect(url)
    await inside.execute("CREATE EXTENSION vector")
    await inside.execute(dump)
    await inside.close()


def count_upgraded(command: Command, _key: str) -> int:
    """Return 1 for the newest schema, else 0; asserts that all memories are there."""
    assert command.sql("SELECT count(*) FROM public.memories") == "5"
    return int(command.sql("SELECT version_num FROM public.alembic_version") == HEAD)
