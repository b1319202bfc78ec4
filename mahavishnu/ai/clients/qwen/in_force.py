"""
What a running Qwen Code uses, against what it has to.

It tells its hooks the model and a digest of protocol and address, whichever option, variable or file they
came from. Which variable holds the key is in its settings, or said by `mahavishnu ai run`.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mahavishnu.ai.clients.facts import Expected
from mahavishnu.ai.clients.hook_call import HookCall, Undecided, read_settings

KINDS = {"openai-chat": "openai", "anthropic": "anthropic"}
MODEL, IDENTITY = "QWEN_CODE_MODEL", "QWEN_CODE_MODEL_IDENTITY"
# Set by `ai run`, which looked at the settings before.
STARTED_ON = "MAHAVISHNU_AI_PROFILE"
_OTHER_TASKS = ("fastModel", "visionModel", "imageModel", "voiceModel")
_DIGITS = 8


def find_faults(
    call: HookCall,
    expected: Expected,
    profile: str,
    judged: Path,  # noqa: ARG001 - the same for all clients
) -> list[str]:
    """
    Return what is not as it has to be; empty where all is.

    Raises:
        Undecided: the client does not tell, or settings cannot be read.
    """
    identity = call.environ.get(IDENTITY, "")
    model, mark, digest = identity.rpartition("@")
    if not mark:
        raise Undecided("Qwen Code does not tell where its requests go")
    if digest not in _digests(expected):
        return [f"requests for {model} go elsewhere"]
    if call.environ.get(STARTED_ON) == profile:
        return []
    elements = list(_elements(call))
    own = [each for each in elements if each.get("id") == model and _is_at(each, expected)]
    if not own or any(each.get("envKey") != expected.variable for each in own):
        return ["the key is not that of the profile"]
    others = {
        settings[name]
        for settings in _settings(call)
        for name in _OTHER_TASKS
        if settings.get(name)
    }
    there = {each.get("id") for each in elements if _is_at(each, expected)}
    return [f"{each} is asked besides" for each in map(str, others) if each not in there]


def _digests(expected: Expected) -> set[str]:
    kind, url = KINDS.get(expected.protocol, ""), expected.url.rstrip("/")
    said = (f"{kind}\0{each}".encode() for each in (expected.url, url, f"{url}/"))
    return {hashlib.sha256(each).hexdigest()[:_DIGITS] for each in said}


def _is_at(element: dict[str, Any], expected: Expected) -> bool:
    return str(element.get("baseUrl")).rstrip("/") == expected.url.rstrip("/")


def _elements(call: HookCall) -> Iterator[dict[str, Any]]:
    for settings in _settings(call):
        lists = settings.get("modelProviders")
        for listed in lists.values() if isinstance(lists, dict) else ():
            yield from (each for each in _list(listed) if isinstance(each, dict))


def _settings(call: HookCall) -> Iterator[dict[str, Any]]:
    """Yield what the user's settings say, and those of the folder that Qwen Code was started in."""
    home = call.environ.get("HOME", "")
    given = call.environ.get("QWEN_HOME", "")
    users = Path(f"{home}{given[1:]}" if given[:1] == "~" else given or f"{home}/.qwen")
    for path in (users / "settings.json", call.project / ".qwen" / "settings.json"):
        yield read_settings(path, json.loads)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
