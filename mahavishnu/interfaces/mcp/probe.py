"""Ask over MCP whether this memory answers: the daemon, or the server that a client would start over stdio."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from mahavishnu.base.daemon.client import HELLO, DaemonClient
from mahavishnu.base.daemon.record import find_listening
from mahavishnu.base.errors import Unavailable
from mahavishnu.base.settings.sources import Loaded

_TIMEOUT_S = 60.0
_WORDS = ("-m", "mahavishnu", "mcp", "serve")


class Health(Struct, frozen=True, kw_only=True):
    """Who answered, where, with which tools, and how long it took."""

    transport: str
    url: str | None
    server: dict[str, Any]
    tools: list[str]
    latency_ms: float


def probe(loaded: Loaded) -> Health:
    """Ask the daemon; where none runs, a server over stdio."""
    if find_listening(loaded.locations.daemon_lock) is None:
        url, (server, tools, ms) = None, probe_stdio(loaded.environ)
    else:
        client = DaemonClient.find(loaded.locations.daemon_lock, loaded.locations.token)
        url, (server, tools, ms) = f"{client.record.url}/mcp", client.probe_mcp()
    transport = "http" if url else "stdio"
    return Health(transport=transport, url=url, server=server, tools=tools, latency_ms=round(ms, 1))


def probe_stdio(environ: Mapping[str, str]) -> tuple[dict[str, Any], list[str], float]:
    """
    Start a server, initialize and list the tools; returns who answered, the names, and how long it took (ms).

    Raises:
        Unavailable: `mcp.no_answer`.
    """
    calls: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": HELLO},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/list", "params": {}},
    ]
    asked = "".join(json.dumps({"jsonrpc": "2.0", **each}) + "\n" for each in calls)
    started = time.perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, *_WORDS], input=asked.encode(), env=dict(environ),
            capture_output=True, timeout=_TIMEOUT_S, check=False,
        )  # fmt: skip
        answers = {each["id"]: each for each in map(json.loads, done.stdout.splitlines())}
        hello, listed = answers[1]["result"], answers[2]["result"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        raise Unavailable(
            "A server that a client would start over stdio does not answer.",
            hint="See what it says: mahavishnu mcp serve < /dev/null; mahavishnu doctor",
            code="mcp.no_answer",
        ) from error
    spent_ms = (time.perf_counter() - started) * 1000
    return hello["serverInfo"], [tool["name"] for tool in listed["tools"]], spent_ms
