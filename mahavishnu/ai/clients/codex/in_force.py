"""
What a thread of Codex uses, against what it has to.

Codex hands nothing on that tells. A process that was given options reads the settings itself, and its
words can be seen; else a background server serves, and a thread keeps the settings of the moment that it
was opened at, while its title is asked for with those of the present. So a thread is judged at its start,
and remembered, and both have to be right; where the settings were written since it was opened, nobody can
tell.
"""

import hashlib
import os
import re
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from mahavishnu.ai.clients.codex.key_settings import FILE, folder_of, lay_over
from mahavishnu.ai.clients.facts import Expected
from mahavishnu.ai.clients.hook_call import HookCall, read_settings
from mahavishnu.ai.clients.key_command import are_for

_OWN = "openai"
_KEPT_S = 90 * 24 * 3600
_STARTING_S = 3.0
_JOURNAL_BYTES = 256 * 1024
_NEW = "Open a new thread: /new"


class _Options(NamedTuple):
    """What the words of a process say: settings, files of `--profile`, whether it runs one prompt alone."""

    settings: Sequence[tuple[tuple[str, ...], Any]] = ()
    profiles: Sequence[str] = ()
    once: bool = False
    other: str = ""

    @property
    def says_all(self) -> bool:
        """Whether they choose a provider and say what it is, so that no file counts."""
        said = dict(self.settings)
        chosen = said.get(("model_provider",))
        return ("model_providers", str(chosen)) in said or chosen == _OWN


def find_faults(call: HookCall, expected: Expected, profile: str, judged: Path) -> list[str]:
    """
    Return what is not as it has to be; empty where all is. `judged` is a folder for what was found.

    Raises:
        Undecided: the settings, or the thread's beginning, cannot be read.
    """
    options = _read_options(call.words())
    if options.other:
        return [f"{options.other} asks another provider"]
    mark = judged / _name_thread(call, expected)
    begins = call.event == "SessionStart" and call.text("source") != "compact"
    home = folder_of(call.environ)
    files = [home / FILE, *(home / f"{name}.{FILE}" for name in options.profiles)]
    faults = list(_faults_of(_read_settings(options, files), call, expected, profile))
    if options.says_all or options.once:
        return faults
    if not begins:
        return faults or ([] if mark.exists() else [f"this thread was not seen to begin. {_NEW}"])
    mark.unlink(missing_ok=True)
    faults += _find_doubts(call, files, judged.parent / "journal.jsonl")
    if not faults:
        _remember(mark)
    return faults


def _name_thread(call: HookCall, expected: Expected) -> str:
    """Return the name of a thread that was found right for what is expected."""
    name = "\0".join((call.text("session_id"), expected.url, expected.key))
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def _find_doubts(call: HookCall, files: Sequence[Path], journal: Path) -> Iterator[str]:
    """Yield why the files may not be those that a thread was opened with."""
    opened = _moment(call.header().get("timestamp"))
    if call.text("source") == "resume":
        yield "Mahavishnu cannot tell with which settings this thread goes on"
    elif opened is None or _may_have_changed(files, journal, opened):
        yield f"the settings were written after this thread was opened. {_NEW}"


def _may_have_changed(files: Sequence[Path], journal: Path, opened: float) -> bool:
    """Tell whether the provider may be another since a thread was opened; Codex writes there as it starts."""
    changed = max(map(_changed, files))
    if changed <= opened:
        return False
    return changed > opened + _STARTING_S or _switched_since(journal, opened)


def _switched_since(journal: Path, opened: float) -> bool:
    """Tell whether anything was switched since, by the end of the journal, which tells whole seconds."""
    try:
        with journal.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _JOURNAL_BYTES))
            lines = stream.read().split(b"\n")
    except FileNotFoundError:
        return False
    found = (re.search(rb'"at":"([^"]+)"', line) for line in lines)
    moments = (_moment(each[1].decode("ascii", "replace")) for each in found if each)
    return any(each is None or each >= opened - 1 for each in moments)


def _remember(mark: Path) -> None:
    mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _forget_old(mark.parent)
    mark.touch(mode=0o600)


def _read_settings(options: _Options, files: Sequence[Path]) -> dict[str, Any]:
    """Return what the files say, each laid over those before it, and the options over all."""
    settings: dict[str, Any] = {}
    for each in files:
        settings = lay_over(settings, read_settings(each, _parse))
    for path, value in options.settings:
        settings = lay_over(settings, _nested(path, value))
    return settings


def _faults_of(
    settings: Mapping[str, Any], call: HookCall, expected: Expected, profile: str
) -> Iterator[str]:
    chosen = str(settings.get("model_provider") or _OWN)
    opened = call.header().get("model_provider", chosen)
    if opened != chosen and call.text("source") != "resume":
        yield f"the thread is with {opened}"
    if chosen == _OWN:
        url = str(settings.get("openai_base_url") or "")
        if not expected.native or url.rstrip("/") not in ("", expected.url.rstrip("/")):
            yield f"the provider is Codex's own{f', at {url}' if url else ''}"
        return
    known = settings.get("model_providers")
    provider = known.get(chosen) if isinstance(known, dict) else None
    if not isinstance(provider, dict):
        yield f"there is no provider {chosen}"
        return
    url = str(provider.get("base_url") or "")
    if expected.native or url.rstrip("/") != expected.url.rstrip("/"):
        yield f"requests go to {url or 'an address of its own'}"
    auth = provider.get("auth")
    if isinstance(auth, dict):
        arguments = auth.get("args")
        words = [str(auth.get("command")), *(arguments if isinstance(arguments, list) else ())]
        if not are_for([str(each) for each in words], expected, call.client):
            yield "the key is not that of the profile"
    elif provider.get("name") != f"Mahavishnu: {profile}":
        yield "the key is not that of the profile"


def _read_options(words: Sequence[str] | None) -> _Options:
    """Return what options say; a background server has none of a session's own."""
    if words is None or "app-server" in words[1:]:
        return _Options()
    settings: list[tuple[tuple[str, ...], Any]] = []
    profiles: list[str] = []
    other = ""
    rest = iter(words[1:])
    for word in rest:
        if word == "--":
            break
        name, mark, value = word.partition("=")
        if name == "--config":
            settings.append(_setting(value if mark else next(rest, "")))
        elif word.startswith("-c") and not word.startswith("--"):
            settings.append(_setting(word[2:].removeprefix("=") or next(rest, "")))
        elif name == "--profile":
            profiles.append(value if mark else next(rest, ""))
        elif word.startswith("-p") and not word.startswith("--"):
            profiles.append(word[2:].removeprefix("=") or next(rest, ""))
        elif name in ("--oss", "--local-provider", "--remote"):
            other = name
    once = bool({"exec", "e", "review"} & set(words[1:]))
    return _Options(tuple(settings), tuple(profiles), once, other)


def _setting(word: str) -> tuple[tuple[str, ...], Any]:
    """Return path and value of `key=value`; a value that is no TOML is a text."""
    key, _, raw = word.partition("=")
    try:
        said = tomllib.loads(f"{key} = {raw}")
    except tomllib.TOMLDecodeError:
        return tuple(each.strip().strip("\"'") for each in key.split(".")), raw
    path: list[str] = []
    value: Any = said
    for _ in _parts(key):
        [(name, value)] = value.items()
        path.append(name)
    return tuple(path), value


def _parts(key: str) -> list[str]:
    """Return a dotted key's parts; quotes may hold a dot."""
    value: Any = tomllib.loads(f"{key} = 0")
    parts = []
    while isinstance(value, dict):
        [(name, value)] = value.items()
        parts.append(name)
    return parts


def _nested(path: Sequence[str], value: Any) -> dict[str, Any]:
    for name in reversed(path):
        value = {name: value}
    assert isinstance(value, dict)
    return value


def _parse(content: bytes) -> dict[str, Any]:
    return tomllib.loads(content.decode())


def _moment(said: Any) -> float | None:
    try:
        return datetime.fromisoformat(said).timestamp()
    except (TypeError, ValueError):
        return None


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _forget_old(judged: Path) -> None:
    now = time.time()
    for each in os.scandir(judged):
        if now - each.stat().st_mtime > _KEPT_S:
            Path(each.path).unlink(missing_ok=True)
