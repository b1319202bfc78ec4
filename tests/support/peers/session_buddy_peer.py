"""
Session-Buddy in an interpreter of its own below `.cache/peers/session-buddy`, and what speaks to it.

It is installed once, from `requirements-session-buddy.lock`: `make lock` writes that, from the group in pyproject.toml.
"""

import asyncio
import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from tests.support.missing_programs import PEERS, skip_or_fail
from tests.support.peers.alone import alone

ROOT = Path(__file__).parents[3]
LOCK = ROOT / "requirements-session-buddy.lock"
CACHE = PEERS / "session-buddy"
START_S = 300.0


def interpreter() -> Path:
    """Return a Python that has it, made unless it is there; skips or fails where it cannot be had."""
    folder = CACHE / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    if not folder.exists():
        with alone(CACHE / "lock"):
            if not folder.exists():
                _install(folder)
    return folder / "bin/python"


def _install(folder: Path) -> None:
    version = re.search(r"^UV_VERSION := (.+)$", (ROOT / "Makefile").read_text(), re.M)
    assert version
    with tempfile.TemporaryDirectory(dir=CACHE) as unfinished:
        root = Path(unfinished) / "venv"
        environ = os.environ | {"UV_CACHE_DIR": f"{unfinished}/downloads"}
        uv = _run("sh", "scripts/find-uv", version[1], environ=environ).strip()
        _run(uv, "venv", "--quiet", "--relocatable", "--python=3.13", root, environ=environ)
        install = (uv, "pip", "install", "--quiet", "--require-hashes", "-r", LOCK)
        _run(*install, "--python", root / "bin/python", environ=environ)
        for older in CACHE.glob("[0-9a-f]" * len(folder.name)):
            shutil.rmtree(older)
        root.rename(folder)


def _run(*words: str | Path, environ: dict[str, str]) -> str:
    done = subprocess.run(words, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        skip_or_fail(f"Session-Buddy is not here: {done.stderr.strip()}")
    return done.stdout


@contextlib.asynccontextmanager
async def served(
    command: Sequence[str], health: str, log: Path, *, end: signal.Signals = signal.SIGTERM
) -> AsyncIterator[Client]:
    """Run a unit's command while the block does, from the moment when it is healthy; yields a client."""
    process = start(command, log)
    try:
        await until_healthy(process, health, log)
        async with Client(streamable_http_client(health.replace("/health", "/mcp"))) as client:
            yield client
            process.send_signal(end)
    finally:
        process.send_signal(end)
        process.wait(60)


async def until_healthy(process: subprocess.Popen[bytes], health: str, log: Path) -> None:
    """Wait until a unit answers."""
    async with asyncio.timeout(START_S):
        while not await asyncio.to_thread(_answers, health):
            assert process.poll() is None, log.read_text()
            await asyncio.sleep(0.1)


def start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Run a unit's command, with nothing of this process's environment."""
    with log.open("ab") as out:
        return subprocess.Popen(
            command, env={"PATH": os.defpath}, cwd="/", stdin=subprocess.DEVNULL, stdout=out,
            stderr=out, start_new_session=True,
        )  # fmt: skip


def _answers(address: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
