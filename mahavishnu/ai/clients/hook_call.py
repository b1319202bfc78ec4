"""What the hook of a client tells, as one value for all clients."""

import json
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mahavishnu.ai.clients.table import facts_of

_MENTION = re.compile(r"@(?:\"([^\"]+)\"|(\S+))")
_PATHS = ("file_path", "path", "notebook_path")
_NAME = r"[\w.+@%-]"  # what goes on with the name of a file
_HEAD_BYTES, _SETTINGS_BYTES = 256 * 1024, 4 * 1024 * 1024
_SHELLS = ("sh", "bash", "dash", "zsh", "ksh", "fish")


class Undecided(Exception):
    """What the client uses is unknown; the text says why."""


class HookCall(NamedTuple):
    """
    One call of the guard.

    `said` is what the client handed over, `environ` its environment, `process` its pid, or that of a shell
    of it; 0 where that is unknown.
    """

    client: str
    said: Mapping[str, Any]
    environ: Mapping[str, str]
    process: int
    folder: str

    @property
    def event(self) -> str:
        """What happened, by the client's name for it."""
        return self.text("hook_event_name")

    def text(self, name: str) -> str:
        """Return a text of what the client handed over; empty where there is none."""
        value = self.said.get(name)
        return value if isinstance(value, str) else ""

    @property
    def project(self) -> Path:
        """The folder that the client was started in."""
        # A client that is run by another one has that one's variables too.
        said = self.environ.get(facts_of(self.client).folder_variable)
        return Path(said or self.text("cwd") or self.folder)

    def folders(self) -> list[str]:
        """
        Return every folder that the session has to do with.

        Where it works and where it began, also when it is an older one that is resumed; files that
        the prompt names by `@`, and those that tools were given.
        """
        here = self.text("cwd") or self.folder
        found = [here, str(self.project), *self._began_in()]
        for quoted, plain in _MENTION.findall(self.text("prompt")):
            ends = (quoted,) if quoted else (plain, plain.rstrip(",.;:!?)]}'\""))
            found += [self._follow(here, each) for each in ends if each]
        for each in self._tool_inputs():
            found += [self._follow(here, each[name]) for name in _PATHS if _is_text(each, name)]
        return list(dict.fromkeys(each for each in found if each))

    def _follow(self, here: str, said: str) -> str:
        home = self.environ.get("HOME", "")
        return str(Path(here) / (f"{home}{said[1:]}" if said == "~" or said[:2] == "~/" else said))

    def names(self, folder: str) -> bool:
        """Tell whether a line that a tool was given to run has the whole path of a folder, or one below it."""
        named = re.compile(re.escape(folder) + f"(?!{_NAME})")
        home = self.environ.get("HOME", "")
        return any(
            named.search(each["command"].replace("~/", f"{home}/"))
            for each in self._tool_inputs()
            if _is_text(each, "command")
        )

    def maybe_folders(self) -> set[str]:
        """Return the folders that other texts which tools were given lead to, if they are paths."""
        here = self.text("cwd") or self.folder
        texts = {text for each in self._tool_inputs() for text in _whole_paths(each)}
        return {_folder_of(self._follow(here, each)) for each in texts}

    def header(self) -> dict[str, Any]:
        """Return what a transcript of Codex says of its thread; empty where there is none."""
        first = next(self._transcript(), {})
        payload = first.get("payload") if first.get("type") == "session_meta" else None
        return payload if isinstance(payload, dict) else {}

    def words(self) -> list[str] | None:
        """Return the words that the client was started with; None where they cannot be seen."""
        return read_words(self.process)

    def _tool_inputs(self) -> Iterator[dict[str, Any]]:
        calls = self.said.get("tool_calls")
        for each in (self.said, *(calls if isinstance(calls, list) else ())):
            given = each.get("tool_input") if isinstance(each, dict) else None
            if isinstance(given, dict):
                yield given

    def _began_in(self) -> Iterator[str]:
        for each in self._transcript():
            payload = each.get("payload")
            for place in (each, payload if isinstance(payload, dict) else {}):
                if _is_text(place, "cwd"):
                    yield place["cwd"]
                    return

    def _transcript(self) -> Iterator[dict[str, Any]]:
        """Yield the first lines of the transcript, as far as they are whole."""
        path = self.text("transcript_path")
        if not path:
            return
        try:
            with Path(path).open("rb") as stream:
                content = stream.read(_HEAD_BYTES)
        except OSError:
            return
        for line in content.split(b"\n"):
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(value, dict):
                yield value


def read_settings(path: Path, parse: Callable[[bytes], Any]) -> dict[str, Any]:
    """
    Return what a file says that the client reads; nothing where it is not there.

    Raises:
        Undecided: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(_SETTINGS_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as exc:
        raise Undecided(f"{path} cannot be read") from exc
    return parse_settings(content, str(path), parse)


def parse_settings(content: bytes, place: str, parse: Callable[[bytes], Any]) -> dict[str, Any]:
    """Return what such a file, or an option, says; raises as `read_settings`."""
    try:
        values = parse(content) if content else {}
    except (ValueError, RecursionError) as exc:
        raise Undecided(f"{place} cannot be understood") from exc
    return values if isinstance(values, dict) else {}


def read_words(process: int) -> list[str] | None:
    """Return the words of a process, or of the one above where it is a shell; None where none can be seen."""
    words, above = _look(process)
    if words and Path(words[0]).name.lstrip("-") in _SHELLS:
        words, _ = _look(above)
    return words or None


def _look(process: int) -> tuple[list[str], int]:
    """Return the words of a process, none where it cannot be seen, and the pid of its parent."""
    if process <= 0:
        return [], 0
    if sys.platform != "linux":
        return _look_elsewhere(process)
    place = Path(f"/proc/{process}")
    try:
        content = (place / "cmdline").read_bytes()
        stat = (place / "stat").read_bytes()
    except OSError:
        return [], 0
    words = [os.fsdecode(each) for each in content.split(b"\0")[:-1]]
    return words, int(stat.rpartition(b")")[2].split()[1])


def _look_elsewhere(process: int) -> tuple[list[str], int]:
    import psutil  # noqa: PLC0415 - slow, and only where there is no /proc

    try:
        found = psutil.Process(process)
        return found.cmdline(), found.ppid()
    except psutil.Error:
        return [], 0


def _folder_of(path: str) -> str:
    """Return the folder of a file, so that many of one are looked at once; what may lead on stays."""
    try:
        mode = os.lstat(path).st_mode
    except (OSError, ValueError):
        mode = 0
    return path if stat.S_ISDIR(mode) or stat.S_ISLNK(mode) else str(Path(path).parent)


def _whole_paths(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield what begins as a whole path does, among what a tool was given, under whatever name."""
    for name, value in given.items():
        texts = value if isinstance(value, list) else [value]
        for text in texts if name != "command" else ():
            if isinstance(text, str) and text.startswith(("/", "~/")) and "\n" not in text:
                yield text


def _is_text(values: Mapping[str, Any], name: str) -> bool:
    return isinstance(values.get(name), str)
