"""Ask a unit whether it works: over HTTP, TCP or MCP, by a command, or by SQL."""

import asyncio
import contextlib
import os
import signal
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import cache

import httpx

from mahavishnu.base.daemon.client import HELLO
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.health import ComponentHealth
from mahavishnu.base.masking import mask_secrets
from mahavishnu.services.units.unit import HealthCheck, Unit

type RunSql = Callable[[str], Awaitable[object]]


class Refused(Exception):
    """The unit answered, and not as one that works."""


class Prober:
    """Makes the checks of units; `environment` is that of check commands, `run_sql` asks the configured database."""

    def __init__(self, environment: Mapping[str, str], run_sql: RunSql | None = None) -> None:
        self._environment = environment
        self._run_sql = run_sql

    async def probe(self, unit: Unit, check: HealthCheck) -> ComponentHealth:
        """Make one check; it never raises for what the unit does."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(check.timeout_s):
                await self._ask(check)
        except TimeoutError:
            problem = f"It did not answer within {check.timeout_s:g} s."
        except (Refused, MahavishnuError) as error:
            problem = str(error)
        except (OSError, httpx.HTTPError, ValueError) as error:
            problem = f"It cannot be reached: {error or type(error).__name__}."
        else:
            spent_ms = (time.perf_counter() - started) * 1000
            return ComponentHealth(unit.name, "healthy", latency_ms=round(spent_ms, 1))
        return ComponentHealth(unit.name, "unhealthy", mask_secrets(problem))

    async def _ask(self, check: HealthCheck) -> None:
        if check.http:
            async with _client() as client:
                answer = await client.get(check.http)
            if answer.status_code >= 400:
                raise Refused(f"It answered {answer.status_code}.")
        elif check.tcp:
            host, _, port = check.tcp.rpartition(":")
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
            writer.close()
        elif check.mcp:
            await _greet(check.mcp)
        elif check.command:
            await self._run(check.command)
        elif check.sql:
            if self._run_sql is None:
                raise Refused("SQL is only asked by the daemon.")
            await self._run_sql(check.sql)

    async def _run(self, command: tuple[str, ...]) -> None:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=self._environment,
            cwd="/",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            status = await process.wait()
        finally:
            if process.returncode is None:  # it is ours still, and its number cannot mean another
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if status != 0:
            raise Refused(f"Its check ended with status {status}.")


@cache
def _certificates() -> ssl.SSLContext:
    """Load the authorities once: that takes longer than a check."""
    return httpx.create_ssl_context(trust_env=False)


def _client() -> httpx.AsyncClient:
    # Without a limit of its own, since the check has one.
    return httpx.AsyncClient(verify=_certificates(), trust_env=False, timeout=None)  # noqa: S113


async def _greet(url: str) -> None:
    """Initialize over MCP, and say goodbye; raises `Refused` where the answer is none of MCP."""
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}
    accept = {"Accept": "application/json, text/event-stream"}
    async with (
        _client() as client,
        client.stream("POST", url, json=hello, headers=accept) as answer,
    ):
        if answer.status_code >= 400:
            raise Refused(f"It answered {answer.status_code}.")
        said = b""
        async for piece in answer.aiter_bytes():
            said += piece
            if b'"serverInfo"' in said:
                break
        else:
            raise Refused("It does not speak MCP.")
        if session := answer.headers.get("mcp-session-id"):
            with contextlib.suppress(httpx.HTTPError):
                await client.delete(url, headers={"Mcp-Session-Id": session})
