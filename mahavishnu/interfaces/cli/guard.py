"""
`mahavishnu-guard`: what a client runs before each prompt, and lets stop it.

Every session on the machine waits for it, so that outside of bound directories the standard library has
to do. Whatever goes wrong is a no.
"""

import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from mahavishnu.ai.bindings.guard import PROGRAM, judge
from mahavishnu.ai.bindings.store import Binding
from mahavishnu.ai.clients.facts import Expected
from mahavishnu.ai.clients.hook_call import HookCall
from mahavishnu.ai.clients.table import PACKAGES, facts_of
from mahavishnu.base.errors import MahavishnuError

USAGE = f"{PROGRAM} {'|'.join(PACKAGES)} --directories FILE"
REFUSED = 2  # what all clients take for a no before a prompt
TIMEOUT_S = 8.0  # less than the clients wait


def main() -> int:
    """Let the session go on, or say why it must not, in the way that the client understands."""
    words = sys.argv[1:]
    if words in (["--help"], ["-h"]):
        sys.stdout.write(f"Usage: {USAGE}\n")
        return 0
    if words == ["--version"]:
        from mahavishnu import __version__  # noqa: PLC0415 - cold path

        sys.stdout.write(f"{PROGRAM} {__version__}\n")
        return 0
    said: dict[str, Any] = {}
    try:
        signal.signal(signal.SIGALRM, _give_up)
        signal.setitimer(signal.ITIMER_REAL, TIMEOUT_S)
        client, file = _read_words(words)
        said = _read_said()
        call = HookCall(client, said, os.environ, _process(client, os.environ), _working_folder())
        reason = judge(call, file, _current)
    except Exception as error:  # what is not known here is a no as well
        reason = f"{PROGRAM} could not tell whether this session may go on: {_told(error)}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return 0 if reason is None else _refuse(said, reason)


def _read_words(words: list[str]) -> tuple[str, Path]:
    match words:
        case [client, "--directories", file] if client in PACKAGES:
            return client, Path(file)
    raise ValueError(f"it is called as {USAGE}")


def _read_said() -> dict[str, Any]:
    said = json.loads(sys.stdin.buffer.read() or b"{}")
    return said if isinstance(said, dict) else {}


def _working_folder() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:  # it was removed; what the client says of it counts
        return "/"


def _process(client: str, environ: Mapping[str, str]) -> int:
    """Return the client's pid, where it says it; else that of what called this."""
    said = environ.get(facts_of(client).pid_variable, "")
    return int(said) if said.isdecimal() else os.getppid()


def _current(binding: Binding) -> Mapping[str, Expected]:
    from mahavishnu.operations.ai.bindings import current_of  # noqa: PLC0415 - slow: reads the settings

    return current_of(binding, os.environ)


def _refuse(said: Mapping[str, Any], reason: str) -> int:
    event = said.get("hook_event_name", "")
    if not event or event in facts_of(sys.argv[1]).exit_stops:
        sys.stderr.write(f"{reason}\n")
        return REFUSED
    answer = {"continue": False, "stopReason": reason, "systemMessage": reason}
    sys.stdout.write(f"{json.dumps(answer)}\n")
    sys.stdout.flush()
    return 0


def _told(error: Exception) -> str:
    if isinstance(error, MahavishnuError):
        return f"{error.message} [{error.code}]"
    return (
        f"{type(error).__name__}: {error}" if isinstance(error, ValueError) else repr(type(error))
    )


def _give_up(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signal's
    raise TimeoutError("it took too long")
