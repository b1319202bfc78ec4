"""
What a user pastes so that an AI client finds the memory. Pure; nothing is written into a client here.

The token never stands in a client's file: over stdio none is needed, over HTTP the client asks a command
for it (Claude Code), or the environment has it.
"""

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "mahavishnu"
TOKEN_VARIABLE = "MAHAVISHNU_TOKEN"  # noqa: S105 - the name of it
CLIENTS = ("claude-code", "codex", "qwen", "json")


@dataclass(frozen=True)
class Setup:
    """For one client: where the text belongs, and the text."""

    client: str
    how: str
    text: str


def describe_setup(client: str, *, url: str | None, home: str | None) -> Setup:
    """
    Return the set-up of one of `CLIENTS`.

    `url` is the daemon's `/mcp`, or None for stdio; `home` is MAHAVISHNU_HOME where it is set.
    """
    return _over_stdio(client, home) if url is None else _over_http(client, url, home)


def command() -> list[str]:
    """Return the installed command that serves over stdio, by its whole path where it has one."""
    return [_program(), "mcp", "serve", "--transport", "stdio"]


def _program() -> str:
    beside = Path(sys.executable).with_name(NAME)
    return str(beside) if beside.exists() else NAME


def _over_stdio(client: str, home: str | None) -> Setup:
    words = command()
    environment = {"MAHAVISHNU_HOME": home} if home else {}
    if client == "claude-code":
        given = [f"--env {name}={shlex.quote(value)}" for name, value in environment.items()]
        line = " ".join(["claude mcp add --scope user", NAME, *given, "--", shlex.join(words)])
        return Setup(client, "run this", line)
    if client == "codex":
        lines = [
            f"[mcp_servers.{NAME}]",
            f"command = {json.dumps(words[0])}",
            f"args = {json.dumps(words[1:])}",
        ]
        if environment:
            pairs = ", ".join(f"{key} = {json.dumps(value)}" for key, value in environment.items())
            lines.append(f"env = {{ {pairs} }}")
        return Setup(client, "add to ~/.codex/config.toml", "\n".join(lines))
    entry: dict[str, Any] = {"command": words[0], "args": words[1:]}
    if environment:
        entry["env"] = environment
    return _as_json(client, entry)


def _over_http(client: str, url: str, home: str | None) -> Setup:
    export = f'export {TOKEN_VARIABLE}="$(mahavishnu token show)"'
    if client == "claude-code":
        # It asks for the token at every connection, so that a new one counts without being told.
        where = [f"MAHAVISHNU_HOME={shlex.quote(home)}"] if home else []
        ask = " ".join([*where, shlex.quote(_program()), "token", "headers"])
        given = json.dumps({"type": "http", "url": url, "headersHelper": ask})
        line = f"claude mcp add-json --scope user {NAME} {shlex.quote(given)}"
        return Setup(client, "run this", line)
    if client == "codex":
        lines = [
            f"[mcp_servers.{NAME}]",
            f"url = {json.dumps(url)}",
            f"bearer_token_env_var = {json.dumps(TOKEN_VARIABLE)}",
        ]
        how = f"add to ~/.codex/config.toml, and start codex with: {export}"
        return Setup(client, how, "\n".join(lines))
    header = {"Authorization": f"Bearer ${{{TOKEN_VARIABLE}}}"}
    key = "httpUrl" if client == "qwen" else "url"
    entry: dict[str, Any] = {key: url, "headers": header}
    if client == "json":
        entry = {"type": "http", **entry}
    return _as_json(client, entry)


def _as_json(client: str, entry: dict[str, Any]) -> Setup:
    where = "add to ~/.qwen/settings.json" if client == "qwen" else "for .mcp.json and others"
    return Setup(client, where, json.dumps({"mcpServers": {NAME: entry}}, indent=2))
