"""The background server of Codex, restarted by Codex's own command: its threads stay open and take up what is new."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec

from mahavishnu.base.errors import NotFound, Unavailable

WORDS = ("app-server", "daemon", "restart")
_TIMEOUT_S = 60.0


def restart_server(program: Path | None, environ: Mapping[str, str]) -> None:
    """
    Restart it in this environment, in which it looks for keys from now on; its updater stays as it is.

    Raises:
        NotFound: `ai.program_missing`.
        Unavailable: `ai.server_not_restarted`.
    """
    if program is None:
        raise NotFound(
            "There is no program codex.",
            hint="Install it, or add its folder to PATH.",
            code="ai.program_missing",
        )
    try:
        done = subprocess.run(
            [program, *WORDS], env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True,
            timeout=_TIMEOUT_S, check=False,
        )  # fmt: skip
        said = msgspec.json.decode(done.stdout)
        restarted = done.returncode == 0 and said.get("status") == "restarted"
    except (OSError, subprocess.TimeoutExpired, ValueError, AttributeError):
        restarted = False
    if not restarted:
        raise Unavailable(
            "Codex's background server could not be restarted by its own command.",
            hint=f"See what it says: codex {' '.join(WORDS)}",
            code="ai.server_not_restarted",
        )
