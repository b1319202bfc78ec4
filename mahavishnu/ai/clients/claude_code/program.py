"""
MCP servers of Claude Code by its own command: the file that has them is rewritten while it runs.

That file is read here, and never written.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mahavishnu.ai.clients.places import Place
from mahavishnu.ai.clients.servers import Registered, Server
from mahavishnu.ai.clients.settings import home
from mahavishnu.ai.secrets.showing import shown_text
from mahavishnu.base.errors import Corrupt, NotFound, Unavailable

TIMEOUT_S = 60.0


def find_server(server: Server) -> Registered | None:
    """
    Return our server as Claude Code has it in this scope; None where it does not.

    Raises:
        Corrupt: `ai_mcp.unreadable`, its file cannot be understood.
    """
    path = _state_file(server.environ)
    try:
        state = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise Corrupt(
            f"{path} cannot be read.",
            hint="Start Claude Code, which fixes it or says what is wrong; then try again.",
            code="ai_mcp.unreadable",
        ) from error
    if server.scope != "user":
        state = _inside(_inside(state, "projects"), str(_project(server.folder)))
    entry = _inside(_inside(state, "mcpServers"), server.name)
    return Registered(path, entry) if entry else None


def require_program(place: Place) -> Path:
    """Return the program; raises NotFound, `ai_mcp.no_program`."""
    if place.program is None:
        raise NotFound(
            "No program claude is on PATH, and it alone may write its list of MCP servers.",
            hint="Put it there; or run where it is what this prints: mahavishnu mcp config --client claude-code",
            code="ai_mcp.no_program",
        )
    return place.program


def register(place: Place, server: Server, found: Registered | None) -> None:
    """
    Let Claude Code add the server, in the place of what was `found`, which comes back where that fails.

    Raises:
        NotFound: `ai_mcp.no_program`.
        Unavailable: `ai_mcp.failed`, with what it said; `ai_mcp.no_answer`, it did not end.
    """
    if found is not None:
        forget(place, server)
    try:
        _run(place, server, server.words)
    except Unavailable:
        if found is not None:
            again = json.dumps(dict(found.entry))
            _run(place, server, ("mcp", "add-json", "--scope", server.scope, server.name, again))
        raise
    now = find_server(server)
    if now is None or not now.says(server.entry):
        raise _failed("mcp add", f"{_state_file(server.environ)} does not have the server.")


def forget(place: Place, server: Server) -> None:
    """Let Claude Code remove the server; raises as `register`."""
    _run(place, server, ("mcp", "remove", "--scope", server.scope, server.name))


def _run(place: Place, server: Server, words: Sequence[str]) -> None:
    """Run the program where the user works, since that is the project it takes for its own."""
    program = require_program(place)
    try:
        done = subprocess.run(
            [program, *words],
            env=dict(server.environ),
            cwd=server.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(
            f"{program} did not end within {TIMEOUT_S:.0f} s.",
            hint="Start Claude Code once by hand, and look what it waits for.",
            code="ai_mcp.no_answer",
        ) from error
    except OSError as error:
        raise _failed("mcp", f"{program} cannot be run: {error.strerror}.") from error
    if done.returncode:
        raise _failed(" ".join(words[:2]), _first_line(done.stderr or done.stdout))


def _failed(words: str, why: str) -> Unavailable:
    return Unavailable(
        f"claude {words} failed: {why}",
        hint="Try it by hand: mahavishnu mcp config --client claude-code",
        code="ai_mcp.failed",
    )


def _first_line(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()
    return shown_text(lines[0])[:300] if lines else "it did not say why."


def _state_file(environ: Mapping[str, str]) -> Path:
    moved = environ.get("CLAUDE_CONFIG_DIR", "")
    return (Path(moved).absolute() if moved else home(environ)) / ".claude.json"


def _project(folder: Path) -> Path:
    """Return the folder by which Claude Code knows a project: the root of its repository."""
    start = folder.resolve()
    return next((each for each in (start, *start.parents) if (each / ".git").exists()), start)


def _inside(value: Any, key: str) -> dict[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}
