"""Processes that stand where AI clients would: they register themselves, write transcripts, and end as told."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from mahavishnu.ai.clients.table import ClientName
from mahavishnu.base.identifiers import new_id
from mahavishnu.base.processes import process_start_time

FOLDERS: Mapping[ClientName, str] = {"claude-code": ".claude", "codex": ".codex", "qwen": ".qwen"}
# Prints that it listens, then waits; as it is told, it has a child and passes over what asks it to end.
_SCRIPT = """
import fcntl, os, signal, subprocess, sys, time
ignoring, child, lock = sys.argv[1] == "1", sys.argv[2], sys.argv[3]
if ignoring:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if lock:
    os.makedirs(os.path.dirname(lock), exist_ok=True)
    held = open(lock, "w")
    fcntl.flock(held, fcntl.LOCK_EX)
if child:
    subprocess.Popen([sys.executable, "-c", child])
print("up", flush=True)
time.sleep(600)
"""
STAYS = "import signal, time; signal.signal(signal.SIGHUP, signal.SIG_IGN); time.sleep(600)"


@dataclass(frozen=True)
class Running:
    """A process that plays a client, with the id of its session."""

    process: subprocess.Popen[str]
    id: str
    home: Path
    client: ClientName
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def pid(self) -> int:
        """Its pid."""
        return self.process.pid

    @property
    def file(self) -> Path:
        """Where it is registered."""
        return self.home / FOLDERS[self.client] / "sessions" / f"{self.pid}.json"

    def register(self, **about: Any) -> None:
        """Write what the client would, with other values for what is given."""
        boot, _, ticks = str(process_start_time(self.pid)).partition(":")
        project, now = str(self.home / "project"), int(time.time() * 1000)
        said: dict[str, Any] = {
            "claude-code": {
                "pid": self.pid, "sessionId": self.id, "cwd": project, "startedAt": now,
                "procStart": ticks, "version": "2.1.329", "kind": "interactive", "status": "idle",
            },
            "qwen": {
                "schemaVersion": 1, "pid": self.pid, "procStart": f"{boot}:{ticks}",
                "sessionId": self.id, "cwd": project, "startedAt": now, "qwenVersion": "0.24.4",
                "kind": "tui", "ipcToken": "canary-of-ipc",
            },
        }[self.client]  # fmt: skip
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps({**said, **about}))

    def answer(self, model: str, *, after: timedelta = timedelta(seconds=1)) -> None:
        """Write into the transcript that a model answered."""
        when = (datetime.now(UTC) + after).isoformat()
        line = {
            "claude-code": {"type": "assistant", "timestamp": when, "message": {"model": model}},
            "qwen": {
                "type": "assistant", "timestamp": when, "model": model,
                "message": {"parts": [{"text": "x"}]},
            },
        }[self.client]  # fmt: skip
        self.note(line)

    def note(self, line: Mapping[str, Any]) -> None:
        """Write a line into the transcript."""
        root = self.home / FOLDERS[self.client] / "projects"
        name = "".join(c if c.isalnum() else "-" for c in str(self.home / "project"))
        inside = f"{self.id}.jsonl" if self.client == "claude-code" else f"chats/{self.id}.jsonl"
        path = root / name / inside
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as stream:
            stream.write(json.dumps(line) + "\n")


@contextlib.contextmanager
def running(
    home: Path,
    client: ClientName,
    *words: str,
    model: str = "",
    ignoring: bool = False,
    child: str = "",
    environ: Mapping[str, str] | None = None,
    **about: Any,
) -> Iterator[Running]:
    """Run a process that is registered as a session, and end it with the block."""
    with _process(words, ignoring=ignoring, child=child, environ=environ) as process:
        session = Running(process, str(new_id()), home, client)
        session.register(**about)
        if model:
            session.answer(model)
        yield session


type Turn = Literal["task_started", "task_complete"]


@contextlib.contextmanager
def thread(
    home: Path,
    *words: str,
    model: str = "one-large",
    provider: str = "mahavishnu",
    turn: Turn = "task_complete",
    server: bool = True,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """Run a process that has a thread of Codex, as its background server or by itself."""
    identifier, folder = str(new_id()), home / ".codex"
    lock = folder / "thread-writer-locks" / f"{identifier}.lock"
    with _process(words, lock=str(lock), environ=environ) as process:
        session = Running(process, identifier, home, "codex")
        if server:
            boot, _, ticks = str(process_start_time(process.pid)).partition(":")
            about = {
                "pid": process.pid,
                "processIdentity": {"bootId": boot, "startTicks": int(ticks)},
            }
            (folder / "app-server-daemon").mkdir(parents=True, exist_ok=True)
            (folder / "app-server-daemon" / "daemon.pid").write_text(json.dumps(about))
        meta = {"cwd": str(home / "project"), "model_provider": provider, "cli_version": "0.169.0"}
        lines: list[dict[str, Any]] = [
            {"type": "session_meta", "payload": meta},
            {"type": "turn_context", "payload": {"model": model}},
            {"type": "event_msg", "payload": {"type": turn}},
        ]
        day = folder / "sessions" / f"{datetime.now():%Y/%m/%d}"
        day.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (day / f"rollout-x-{identifier}.jsonl").write_text(text)
        yield session


@contextlib.contextmanager
def _process(
    words: Sequence[str],
    *,
    ignoring: bool = False,
    child: str = "",
    lock: str = "",
    environ: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, str(int(ignoring)), child, lock, *words],
        env={"PATH": os.defpath, **(environ or {})}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "up\n"
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def held(path: Path) -> int:
    """Hold a lock of this process on a file, and return the descriptor."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor
