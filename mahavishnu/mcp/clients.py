"""
What a user pastes so that an AI client finds the memory. Pure; nothing is written into a client here.

The token never stands in a client's file: over stdio none is needed, over HTTP the client asks a command
for it (Claude Code), or the environment has it.
"""

import json
import shlex
import sys
from collections.abc import Mapping
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


def describe_setup(client: str, *, url: str | None, places: Mapping[str, str]) -> Setup:
    """
    Return the set-up of one of `CLIENTS`.

    `url` is the daemon's `/mcp`, or None for stdio; `places` are the variables that say where this
    memory is, since clients hand on little of their environment.
    """
    return _over_stdio(client, places) if url is None else _over_http(client, url, places)


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


def _over_stdio(client: str, places: Mapping[str, str]) -> Setup:
    words = command()
    if client == "claude-code":
        given = [f"--env {name}={shlex.quote(value)}" for name, value in places.items()]
        line = " ".join(["claude mcp add --scope user", NAME, *given, "--", shlex.join(words)])
        return Setup(client, "run this", line)
    if client == "codex":
        lines = [
            f"[mcp_servers.{NAME}]",
            f"command = {json.dumps(words[0])}",
            f"args = {json.dumps(words[1:])}",
        ]
        if places:
            pairs = ", ".join(f"{key} = {json.dumps(value)}" for key, value in places.items())
            lines.append(f"env = {{ {pairs} }}")
        return Setup(client, "add to ~/.codex/config.toml", "\n".join(lines))
    entry: dict[str, Any] = {"command": words[0], "args": words[1:]}
    if places:
        entry["env"] = dict(places)
    return _as_json(client, entry)


def _over_http(client: str, url: str, places: Mapping[str, str]) -> Setup:
    if client == "claude-code":
        # It asks for the token at every connection, so that a new one counts without being told.
        ask = _asking(places, "token", "headers")
        given = json.dumps({"type": "http", "url": url, "headersHelper": ask})
        line = f"claude mcp add-json --scope user {NAME} {shlex.quote(given)}"
        return Setup(client, "run this", line)
    if client == "codex":
        lines = [
            f"[mcp_servers.{NAME}]",
            f"url = {json.dumps(url)}",
            f"bearer_token_env_var = {json.dumps(TOKEN_VARIABLE)}",
        ]
        how = f"add to ~/.codex/config.toml{_export(client, places)}"
        return Setup(client, how, "\n".join(lines))
    header = {"Authorization": f"Bearer ${{{TOKEN_VARIABLE}}}"}
    key = "httpUrl" if client == "qwen" else "url"
    entry: dict[str, Any] = {key: url, "headers": header}
    if client == "json":
        entry = {"type": "http", **entry}
    return _as_json(client, entry, _export(client, places))


def _export(client: str, places: Mapping[str, str]) -> str:
    who = "the client" if client == "json" else client
    shell = f'export {TOKEN_VARIABLE}="$({_asking(places, "token", "show")})"'
    return f", and start {who} after: {shell}"


def _as_json(client: str, entry: dict[str, Any], further: str = "") -> Setup:
    where = "add to ~/.qwen/settings.json" if client == "qwen" else "for .mcp.json and others"
    where += further
    return Setup(client, where, json.dumps({"mcpServers": {NAME: entry}}, indent=2))
