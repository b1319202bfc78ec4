"""The real Session-Buddy keeps what it stores, in folders of ours, when our launcher starts it."""

import asyncio
import http.client
import json
import os
import re
import signal
import subprocess
import textwrap
from pathlib import Path

import psutil
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from mahavishnu.services.session_buddy.client import Abilities, SessionBuddy
from mahavishnu.services.session_buddy.unit import LAUNCHER, session_buddy_unit
from mahavishnu.services.units.unit import Unit
from tests.support.command import Command
from tests.support.external import free_port
from tests.support.peers.session_buddy_peer import interpreter, served

pytestmark = pytest.mark.peer

IN_USE = 75  # the launcher's exit code where another has the data open

# Stores one reflection as Session-Buddy does without our launcher, and ends as it does then: with its log of writes.
LEAVE = """
import asyncio, duckdb, os, sys
from pathlib import Path
connect = duckdb.connect
def quick(*words, **named):
    connection = connect(*words, **named)
    connection.execute("SET custom_extension_repository = '/nonexistent'")
    return connection
duckdb.connect = quick
from session_buddy.adapters.reflection_adapter_oneiric import ReflectionDatabaseAdapterOneiric
from session_buddy.adapters.settings import ReflectionAdapterSettings

async def main():
    settings = ReflectionAdapterSettings(database_path=Path(sys.argv[1]) / "reflection.duckdb")
    async with ReflectionDatabaseAdapterOneiric(settings=settings) as adapter:
        await adapter.store_reflection("The user's own.", [])
        os._exit(0)

asyncio.run(main())
"""


def unit_of(home: Path, data_dir: Path | None = None) -> Unit:
    return session_buddy_unit(str(interpreter()), home=home, port=free_port(), data_dir=data_dir)


async def say(client: Client, tool: str, **arguments: str) -> str:
    answer = await client.call_tool(tool, arguments)
    return str(answer.content[0].text)  # type: ignore[union-attr]


async def count(client: Client) -> int:
    told = re.search(r"Total Reflections\*\*: (\d+)", await say(client, "reflection_stats"))
    assert told
    return int(told[1])


@pytest.mark.verifies("Session-Buddy, started so that it keeps its data")
async def test_what_it_stores_survives_its_end(tmp_path: Path) -> None:
    """It starts three times, which takes it 4 seconds each."""
    home, log = tmp_path / "session-buddy", tmp_path / "log"
    unit = unit_of(home)
    assert unit.health and unit.health.http
    running = (unit.command, unit.health.http, log)
    buddy = SessionBuddy(f"http://127.0.0.1:{unit.port}")
    seen: set[Abilities] = set()
    for number, end in enumerate((signal.SIGKILL, signal.SIGTERM)):
        async with served(*running, end=end) as client:
            assert await count(client) == number
            seen.add(await buddy.warm())  # in a session of the server that was ended
            assert "✅" in await say(client, "store_reflection", content=f"x{number}")
            told = await say(client, "create_entity", name=f"svc{number}", entity_type="service")
            assert "✅" in told
            assert not list((home / "data").glob("*.wal"))  # which a start would have to replay
            second = subprocess.run(unit.command, capture_output=True, text=True, check=False)
            assert second.returncode == IN_USE, second.stderr
    async with served(*running) as client:
        assert await count(client) == 2
        told = await say(client, "search_entities", query="svc")
        assert "svc0" in told and "svc1" in told
        assert (await buddy.call("get_liveness", {})).structured["uptime_seconds"] > 0
        [abilities] = {*seen, await buddy.warm()}
        assert abilities.data_id and abilities.lacking == ()
        await buddy.aclose()
        assert str(home / "work") in await say(client, "health_check")
        asked = http.client.HTTPConnection("127.0.0.1", unit.port)
        asked.request("GET", "/health", headers={"Host": "rebound.example"})
        assert asked.getresponse().status == 421
        asked.close()
    assert (home / "work").stat().st_mode & 0o077 == 0


@pytest.mark.verifies("Session-Buddy, restarted by the daemon")
async def test_the_daemon_restarts_it_with_all_else(tmp_path: Path) -> None:
    """The daemon starts once, and Session-Buddy twice."""
    command, port = Command(tmp_path), free_port()
    command.settings.write_text(
        f"""
server: {{port: 0}}
postgresql: {{host: 127.0.0.1, port: 9}}
embedding: {{provider: none}}
session_buddy: {{python: {interpreter()}, port: {port}}}
"""
    )
    address = f"http://127.0.0.1:{port}/mcp"
    command("up", "--detach", "--json")
    try:
        started = command("service", "start", "session-buddy", "--json")
        while started.status and started.error["code"] == "service.not_supervised":
            await asyncio.sleep(0.1)  # the daemon answers before it supervises
            started = command("service", "start", "session-buddy", "--json")
        [ready] = started.json["services"]
        assert ready["after"] == "healthy", ready
        [before] = command("service", "status", "session-buddy", "--json").json["services"]
        async with Client(streamable_http_client(address)) as client:
            assert "✅" in await say(client, "store_reflection", content="Kept.")
        done = command("service", "restart", "all", "--json").json["services"]
        outcomes = {each["name"]: each["outcome"] for each in done}
        assert outcomes == {"claude": "unchanged", "session-buddy": "restarted", "agentdb": "left"}
        [after] = command("service", "status", "session-buddy", "--json").json["services"]
        assert after["state"] == "running" and after["pid"] != before["pid"]
        async with Client(streamable_http_client(address)) as client:
            assert await count(client) == 1
    finally:
        assert command("down", "--json").json["stopped"]
    assert not psutil.pid_exists(after["pid"])


async def test_data_of_the_user_is_copied_with_what_waits_in_its_log(tmp_path: Path) -> None:
    """Session-Buddy starts twice: without the launcher, and with it."""
    data, home = tmp_path / "users", tmp_path / "session-buddy"
    data.mkdir()
    leaving = (interpreter(), "-I", "-c", LEAVE, data)
    subprocess.run(leaving, env={"HOME": str(tmp_path)}, cwd=tmp_path, check=True)
    files = {path.name: path.read_bytes() for path in data.iterdir()}
    assert "reflection.duckdb.wal" in files
    unit = unit_of(home, data)
    assert unit.health and unit.health.http
    async with served(unit.command, unit.health.http, tmp_path / "log") as client:
        assert await count(client) == 1
    assert {path.name: path.read_bytes() for path in data.iterdir()} == files
    other = unit_of(home, tmp_path / "others")
    done = subprocess.run(other.command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "is not of" in done.stderr


def test_a_data_dir_without_data_is_refused(tmp_path: Path) -> None:
    unit = unit_of(tmp_path / "session-buddy", tmp_path / "misspelt")
    done = subprocess.run(unit.command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "misspelt" in done.stderr
    assert not (tmp_path / "session-buddy/data").exists()


def test_it_sees_no_key_and_no_folder_of_the_user(tmp_path: Path) -> None:
    given = {
        "PATH": os.defpath,
        "HOME": "/home/user",
        "XDG_DATA_HOME": "/home/user/.local",
        "ANTHROPIC_API_KEY": "canary",
        "SESSION_BUDDY_TOOL_PROFILE": "minimal",
    }
    call = "print(json.dumps(launcher['clean_environment'](os.environ, Path('/data'))))"
    seen = json.loads(by_launcher(call, tmp_path, environ=given).stdout)
    assert (seen["PATH"], seen["HOME"]) == (os.defpath, "/data/home")
    assert seen["SESSION_BUDDY_TOOL_PROFILE"] == "full"
    assert not {"canary", "/home/user", "/home/user/.local"} & set(seen.values())


def test_a_log_that_cannot_be_read_is_kept_beside_the_data(tmp_path: Path) -> None:
    database, log = tmp_path / "reflection.duckdb", tmp_path / "reflection.duckdb.wal"
    left = """
        connection = duckdb.connect("reflection.duckdb")
        connection.execute("CREATE TABLE known AS SELECT 1")
        connection.execute("CHECKPOINT")
        connection.execute("INSERT INTO known SELECT range FROM range(2000)")
        os._exit(0)
    """
    by_launcher(textwrap.dedent(left), tmp_path)
    kept, text = database.read_bytes(), bytearray(log.read_bytes())
    text[200] ^= 255
    log.write_bytes(text)
    told = by_launcher("launcher['recover'](Path('reflection.duckdb').absolute())", tmp_path)
    assert "cannot be read" in told.stderr
    (aside,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert ((aside / database.name).read_bytes(), (aside / log.name).read_bytes()) == (kept, text)
    assert not log.exists()


def by_launcher(
    call: str, folder: Path, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a line that knows the names of the launcher, in the interpreter that it is for."""
    lines = (
        "import duckdb, json, os, runpy, sys; from pathlib import Path",
        "launcher = runpy.run_path(sys.argv[1])",
        call,
    )
    return subprocess.run(
        (interpreter(), "-I", "-c", "\n".join(lines), LAUNCHER),
        env=environ, cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
