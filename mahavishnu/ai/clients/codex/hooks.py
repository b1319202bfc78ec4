"""
Codex runs a hook only where its user trusts it, by a digest in its settings that Codex itself computes.

It is asked for that digest over its own protocol, so that nothing of its making is guessed; binding a
directory is what says that the user trusts the guard.
"""

import json
import os
import re
import select
import subprocess
import time
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mahavishnu.ai.clients.hooks import GuardHooks, PlacedGuard, has_value
from mahavishnu.ai.foreign_files.documents import ABSENT
from mahavishnu.ai.foreign_files.merge import Change, Remove, Set

_TIMEOUT_S = 20.0
_STATE = ("hooks", "state")
_UNTRUSTED = (
    "Codex runs the guard only after you have trusted it: start codex there, and choose /hooks."
)
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
# A server asks its provider for models as soon as it runs, with the user's key; without a provider it asks nobody.
_NO_PROVIDER = (
    "-c", 'model_provider="nobody"',
    "-c", 'model_providers.nobody={name="nobody",base_url="http://127.0.0.1:9/v1"}',
)  # fmt: skip


class CodexHooks(GuardHooks):
    """The hooks of Codex have a file of their own; its settings list those that its user trusts."""

    events = ("SessionStart", "UserPromptSubmit", "PreCompact")

    def file(self, settings: Path) -> Path:
        """Return the file that has nothing but hooks."""
        return settings.with_name("hooks.json")

    def find_switched_off(self, folder: Path) -> list[str]:
        """Return its settings of the directory, where they switch hooks off."""
        path = folder / ".codex" / "config.toml"
        if has_value(path, tomllib.loads, "features", "hooks", value=False):
            return [
                f"Codex, where it trusts the directory, runs no guard: {path} switches hooks off"
            ]
        return []

    def trust(self, guard: PlacedGuard) -> Sequence[str]:
        """Write that the guard is trusted, where Codex can be asked; raises as `SettingsFile.edit`."""
        commands, digests = _commands(guard), _ask(guard)
        if any((key, command) not in digests for key, command in commands.items()):
            return (_UNTRUSTED,)
        changes: list[Change] = [
            Set((*_STATE, key, "trusted_hash"), digests[key, command])
            for key, command in commands.items()
        ]
        return guard.settings.edit(changes).notes

    def is_trusted(self, guard: PlacedGuard) -> bool:
        """Tell whether the settings trust the guard; that the digest is right only Codex knows."""
        document = guard.settings.read()
        places = ((*_STATE, key, "trusted_hash") for key in _commands(guard))
        return all(document.get(each) is not ABSENT for each in places)

    def distrust(self, guard: PlacedGuard) -> None:
        """Take the trust in the guard out; raises as `SettingsFile.edit`."""
        guard.settings.edit([Remove((*_STATE, key), _STATE[:1]) for key in _commands(guard)])


HOOKS: GuardHooks = CodexHooks()


def _commands(guard: PlacedGuard) -> Mapping[str, str]:
    """Return the commands by what Codex calls each hook: by the place where it stands."""
    return {
        f"{guard.file}:{_HUMP.sub('_', each.event).lower()}:{each.path[2]}:{each.path[4]}": each.command
        for each in guard.hooks
    }


def _ask(guard: PlacedGuard) -> Mapping[tuple[str, str], str]:
    """Return the digests of all hooks by what they are called and run; none where Codex does not answer."""
    if guard.program is None:
        return {}
    about = {"clientInfo": {"name": "mahavishnu", "title": "Mahavishnu", "version": "1"}}
    calls: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": about},
        {"method": "initialized"},
        {"id": 2, "method": "hooks/list", "params": {"cwds": [str(guard.folder)]}},
    ]
    said = "".join(f"{json.dumps({'jsonrpc': '2.0', **each})}\n" for each in calls)
    with suppress(OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        with subprocess.Popen(
            [guard.program, *_NO_PROVIDER, "app-server"], env=dict(guard.environ), cwd=guard.folder,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            try:
                result = _converse(process, said.encode())
            finally:
                process.kill()
        return {
            (str(hook["key"]), str(hook["command"])): str(hook["currentHash"])
            for each in result["data"]
            for hook in each["hooks"]
        }
    return {}


def _converse(process: subprocess.Popen[bytes], said: bytes) -> dict[str, Any]:
    """Say it all, and return the result of the second call; raises ValueError where none comes."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(said)
    process.stdin.flush()
    deadline = time.monotonic() + _TIMEOUT_S
    heard = b""
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([process.stdout], [], [], left)[0]:
            break
        piece = os.read(process.stdout.fileno(), 65_536)
        if not piece:
            break
        heard += piece
        for line in heard.split(b"\n")[:-1]:
            answer = json.loads(line)
            if answer.get("id") == 2:
                result: dict[str, Any] = answer["result"]
                return result
    raise ValueError
