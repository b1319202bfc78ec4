"""
MCP servers of Claude Code by its own command: the file that has them is rewritten while it runs.

That file is read here, and never written.
"""

import json
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mahavishnu.ai.clients.mcp import (
    NAME,
    McpChange,
    RegisteredServer,
    Server,
    Setup,
    asking,
    over_stdio,
)
from mahavishnu.ai.clients.settings import home
from mahavishnu.ai.secrets.showing import shown_text
from mahavishnu.base.errors import Corrupt, NotFound, Unavailable

TIMEOUT_S = 60.0
project_scope = True


def find(server: Server) -> RegisteredServer | None:
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
    entry = _inside(_inside(state, "mcpServers"), NAME)
    return RegisteredServer(path, entry) if entry else None


def describe(*, url: str | None, places: Mapping[str, str], scope: str) -> Setup:
    """Return its own command, which is run as it is; over HTTP it asks for the token at every connection."""
    entry = over_stdio(places)
    if url:
        # So a new one counts at once.
        ask = asking(places, "token", "headers")
        entry = {"type": "http", "url": url, "headersHelper": ask}
    words = _words(entry, scope)
    return Setup("claude-code", "run this", shlex.join(("claude", *words)), words, entry)


def install(server: Server, *, dry_run: bool) -> McpChange:
    """Let Claude Code add the server where it does not have it so."""
    found = find(server)
    if found is not None and found.says(server.setup.entry):
        return McpChange(changed=False)
    _require_program(server)
    if not dry_run:
        _register(server, found)
    return McpChange(changed=True)


def uninstall(server: Server, *, dry_run: bool) -> McpChange:
    """Let Claude Code remove the server."""
    if find(server) is None:
        return McpChange(changed=False)
    _require_program(server)
    if not dry_run:
        _forget(server)
    return McpChange(changed=True)


def _words(entry: Mapping[str, Any], scope: str) -> tuple[str, ...]:
    if "command" not in entry:
        return ("mcp", "add-json", "--scope", scope, NAME, json.dumps(entry))
    given = [
        word for key, value in entry.get("env", {}).items() for word in ("--env", f"{key}={value}")
    ]
    return ("mcp", "add", "--scope", scope, NAME, *given, "--", entry["command"], *entry["args"])


def _require_program(server: Server) -> Path:
    """Return the program; raises NotFound, `ai_mcp.no_program`."""
    if server.program is None:
        raise NotFound(
            "No program claude is on PATH, and it alone may write its list of MCP servers.",
            hint="Put it there; or run where it is what this prints: mahavishnu mcp config --client claude-code",
            code="ai_mcp.no_program",
        )
    return server.program


def _register(server: Server, found: RegisteredServer | None) -> None:
    """
    Let Claude Code add the server, in the place of what was `found`, which comes back where that fails.

    Raises:
        NotFound: `ai_mcp.no_program`.
        Unavailable: `ai_mcp.failed`, with what it said; `ai_mcp.no_answer`, it did not end.
    """
    if found is not None:
        _forget(server)
    try:
        _run(server, server.setup.words)
    except Unavailable:
        if found is not None:
            again = json.dumps(dict(found.entry))
            _run(server, ("mcp", "add-json", "--scope", server.scope, NAME, again))
        raise
    now = find(server)
    if now is None or not now.says(server.setup.entry):
        raise _failed("mcp add", f"{_state_file(server.environ)} does not have the server.")


def _forget(server: Server) -> None:
    """Let Claude Code remove the server; raises as `register`."""
    _run(server, ("mcp", "remove", "--scope", server.scope, NAME))


def _run(server: Server, words: Sequence[str]) -> None:
    """Run the program where the user works, since that is the project it takes for its own."""
    program = _require_program(server)
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
            hint="Start Claude Code yourself, and see what it waits for.",
            code="ai_mcp.no_answer",
        ) from error
    except OSError as error:
        raise _failed("mcp", f"{program} cannot be run: {error.strerror}.") from error
    if done.returncode:
        raise _failed(" ".join(words[:2]), _first_line(done.stderr or done.stdout))


def _failed(words: str, why: str) -> Unavailable:
    return Unavailable(
        f"claude {words} failed: {why}",
        hint="Try it yourself: mahavishnu mcp config --client claude-code",
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
