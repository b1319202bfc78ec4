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
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from mahavishnu.ai.bindings.hooks import file_of, is_of, is_ours, open_file
from mahavishnu.ai.clients.claude_code.own_settings.hooks import read_hooks
from mahavishnu.ai.clients.rights import closing
from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.ai.foreign_files.documents import ABSENT
from mahavishnu.ai.foreign_files.files import Edit, SettingsFile
from mahavishnu.ai.foreign_files.merge import Change, Remove, Set
from mahavishnu.ai.switching.site import Site

_TIMEOUT_S = 20.0
_STATE = ("hooks", "state")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
# A server asks its provider for models as soon as it runs, with the user's key; without a provider it asks nobody.
_NO_PROVIDER = (
    "-c", 'model_provider="nobody"',
    "-c", 'model_providers.nobody={name="nobody",base_url="http://127.0.0.1:9/v1"}',
)  # fmt: skip


def trust_guard(site: Site) -> Edit | None:
    """Write that the guard is trusted; None where Codex could not be asked. Raises as `SettingsFile.edit`."""
    found = _ask(site)
    if not set(_keys(site)) <= found.keys():
        return None
    changes: list[Change] = [Set((*_STATE, key, "trusted_hash"), found[key]) for key in _keys(site)]
    file = replace(_settings(site), close=closing(CLIENTS["codex"], site.environ))
    return file.edit(changes)


def is_guard_trusted(site: Site) -> bool:
    """Tell whether the settings trust the guard; that the digest is right only Codex knows."""
    document = _settings(site).read()
    return all(document.get((*_STATE, key, "trusted_hash")) is not ABSENT for key in _keys(site))


def distrust_guard(site: Site) -> None:
    """Take the trust in the guard out, while its hooks are still there; raises as `SettingsFile.edit`."""
    _settings(site).edit([Remove((*_STATE, key), _STATE[:1]) for key in _keys(site)])


def _settings(site: Site) -> SettingsFile:
    return site.open(CLIENTS["codex"], site.path_of("codex", "user"))


def _keys(site: Site) -> Iterator[str]:
    """Yield what Codex calls each hook of ours: by the place where it stands."""
    path = file_of(site, "codex")
    for each in read_hooks(open_file(site, path).read()):
        if is_of(site, each.hook.get("command")):
            event = _HUMP.sub("_", each.event).lower()
            yield f"{path}:{event}:{each.path[2]}:{each.path[4]}"


def _ask(site: Site) -> dict[str, str]:
    """Return the digests of all hooks by their names; nothing where Codex does not answer."""
    program = site.find("codex").program
    if program is None:
        return {}
    about = {"clientInfo": {"name": "mahavishnu", "title": "Mahavishnu", "version": "1"}}
    calls: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": about},
        {"method": "initialized"},
        {"id": 2, "method": "hooks/list", "params": {"cwds": [str(site.folder)]}},
    ]
    said = "".join(f"{json.dumps({'jsonrpc': '2.0', **each})}\n" for each in calls)
    with suppress(OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        with subprocess.Popen(
            [program, *_NO_PROVIDER, "app-server"], env=dict(site.environ), cwd=site.folder,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            try:
                result = _converse(process, said.encode())
            finally:
                process.kill()
        return {
            str(hook["key"]): str(hook["currentHash"])
            for each in result["data"]
            for hook in each["hooks"]
            if is_ours(hook["command"])
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
