"""
What a user pastes so that an AI client finds the memory. Pure; nothing is written into a client here.

The token is never in a client's file: over stdio none is needed, over HTTP the client asks a command
for it (Claude Code), or the environment has it.
"""

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAME = "mahavishnu"
TOKEN_VARIABLE = "MAHAVISHNU_TOKEN"  # noqa: S105 - the name of it
CLIENTS = ("claude-code", "codex", "qwen", "json")


@dataclass(frozen=True)
class Setup:
    """
    For one client: where the text belongs, and the text.

    The same for programs: `words` for Claude Code's own command, for the others `entry`, what their
    settings say of the server, and `start`, a line for the shell that starts them, where one is needed.
    """

    client: str
    how: str
    text: str
    words: tuple[str, ...] = ()
    entry: Mapping[str, Any] = field(default_factory=dict)
    start: str = ""


def describe_setup(
    client: str, *, url: str | None, places: Mapping[str, str], scope: str = "user"
) -> Setup:
    """
    Return the set-up of one of `CLIENTS`.

    `url` is the daemon's `/mcp`, or None for stdio; `places` are the variables that say where this
    memory is, since clients hand on little of their environment. `scope` is Claude Code's word for
    who has it: `user`, or `local` for one project of the user.
    """
    entry, start = _describe_entry(client, url, places)
    if client == "claude-code":
        words = _claude_words(entry, scope)
        return Setup(client, "run this", shlex.join(("claude", *words)), words, entry)
    if client == "codex":
        how, text = f"add to ~/.codex/config.toml{_before(client, start)}", _as_toml(entry)
    else:
        how, text = _as_json(client, entry, _before(client, start))
    return Setup(client, how, text, entry=entry, start=start)


def command() -> list[str]:
    """Return the installed command that serves over stdio, by its whole path where it has one."""
    return [_program(), "mcp", "serve", "--transport", "stdio"]


def _program() -> str:
    beside = Path(sys.executable).with_name(NAME)
    return str(beside) if beside.exists() else NAME


def _asking(places: Mapping[str, str], *words: str) -> str:
    """Return a line for a shell that asks the installed command."""
    where = [f"{name}={shlex.quote(value)}" for name, value in places.items()]
    return " ".join([*where, shlex.quote(_program()), *words])


def _describe_entry(
    client: str, url: str | None, places: Mapping[str, str]
) -> tuple[dict[str, Any], str]:
    """Return what the client's settings say of the server, and what to run before the client."""
    if url is None:
        words = command()
        return {"command": words[0], "args": words[1:]} | (
            {"env": dict(places)} if places else {}
        ), ""
    if client == "claude-code":
        # It asks for the token at every connection, so that a new one counts without being told.
        ask = _asking(places, "token", "headers")
        return {"type": "http", "url": url, "headersHelper": ask}, ""
    start = f'export {TOKEN_VARIABLE}="$({_asking(places, "token", "show")})"'
    if client == "codex":
        return {"url": url, "bearer_token_env_var": TOKEN_VARIABLE}, start
    header = {"Authorization": f"Bearer ${{{TOKEN_VARIABLE}}}"}
    if client == "qwen":
        return {"httpUrl": url, "headers": header}, start
    return {"type": "http", "url": url, "headers": header}, start


def _claude_words(entry: Mapping[str, Any], scope: str) -> tuple[str, ...]:
    if "command" not in entry:
        return ("mcp", "add-json", "--scope", scope, NAME, json.dumps(entry))
    given = [
        word for key, value in entry.get("env", {}).items() for word in ("--env", f"{key}={value}")
    ]
    return ("mcp", "add", "--scope", scope, NAME, *given, "--", entry["command"], *entry["args"])


def _before(client: str, start: str) -> str:
    who = "the client" if client == "json" else client
    return f", and start {who} after: {start}" if start else ""


def _as_toml(entry: Mapping[str, Any]) -> str:
    lines = [f"[mcp_servers.{NAME}]"]
    for key, value in entry.items():
        if isinstance(value, dict):
            pairs = ", ".join(f"{name} = {json.dumps(each)}" for name, each in value.items())
            lines.append(f"{key} = {{ {pairs} }}")
        else:
            lines.append(f"{key} = {json.dumps(value)}")
    return "\n".join(lines)


def _as_json(client: str, entry: Mapping[str, Any], further: str) -> tuple[str, str]:
    where = "add to ~/.qwen/settings.json" if client == "qwen" else "for .mcp.json and others"
    return where + further, json.dumps({"mcpServers": {NAME: entry}}, indent=2)
