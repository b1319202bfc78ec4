"""
Claude Code: `env` and `apiKeyHelper` of its settings.

A running session takes changes over within two seconds, but keeps variables that were removed: what is
not wanted is written as "". Without a key of the endpoint's own it would send the user's sign-in there.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from mahavishnu.ai.clients.claude_code import FACTS
from mahavishnu.ai.clients.delivery import LONG_TIMEOUT_MS, NO_KEY, Delivery
from mahavishnu.ai.clients.key_command import PROGRAM, helper_line, read_words
from mahavishnu.ai.clients.settings import CurrentProvider, Known, home, is_there, text_at
from mahavishnu.ai.foreign_files.documents import ABSENT, Absent, Document, KeyPath, Value
from mahavishnu.ai.foreign_files.documents.port import show_path
from mahavishnu.ai.foreign_files.merge import Change, Remove, Set
from mahavishnu.ai.secrets.binding import origin_of
from mahavishnu.base.errors import Corrupt, MahavishnuError

URL, TOKEN, API_KEY = "ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"
HEADERS = "ANTHROPIC_CUSTOM_HEADERS"
LARGE_MODELS = (
    "ANTHROPIC_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_DEFAULT_FABLE_MODEL",
    "ANTHROPIC_DEFAULT_MODEL",
)
SMALL_MODEL, OLD_SMALL_MODEL = "ANTHROPIC_DEFAULT_HAIKU_MODEL", "ANTHROPIC_SMALL_FAST_MODEL"
SUBAGENT_MODEL = "CLAUDE_CODE_SUBAGENT_MODEL"
TIMEOUT, HELPER_TTL = "API_TIMEOUT_MS", "CLAUDE_CODE_API_KEY_HELPER_TTL_MS"
# Any of them leads past the address, and takes the endpoint's key along.
OTHER_CLOUDS = FACTS.clouds
SIGN_IN = (URL, TOKEN, API_KEY)
DEFAULT_URL = FACTS.default_url
ONLY_WHERE_THERE = (OLD_SMALL_MODEL, SUBAGENT_MODEL, HELPER_TTL)
OWNED_ENV = (
    *SIGN_IN, HEADERS, *LARGE_MODELS, SMALL_MODEL, OLD_SMALL_MODEL, SUBAGENT_MODEL, TIMEOUT, HELPER_TTL,
    *OTHER_CLOUDS,
)  # fmt: skip
# What a profile alone says; which model subagents use, its user may choose besides.
RESERVED_ENV = tuple(name for name in OWNED_ENV if name != SUBAGENT_MODEL)
HELPER: KeyPath = ("apiKeyHelper",)
# From a project: what is its user's alone, and is not for its repository.
PROJECT_FILE = Path(".claude/settings.local.json")


def env(name: str) -> KeyPath:
    """Return the path of a variable."""
    return ("env", name)


# Removes nothing: the journal has then that there was none, so that one chosen later goes with its provider.
_NO_SUBAGENT_MODEL = Remove(env(SUBAGENT_MODEL))


class ClaudeCodeSettings:
    """The settings of Claude Code."""

    needs_model = False
    shared: Collection[KeyPath] = (("env", SUBAGENT_MODEL),)
    writes: Collection[KeyPath] = ()
    project_file: Path | None = PROJECT_FILE

    def folder(self, environ: Mapping[str, str]) -> Path:
        """Return CLAUDE_CONFIG_DIR, else ~/.claude."""
        given = environ.get("CLAUDE_CONFIG_DIR")
        return Path(given).absolute() if given else home(environ) / ".claude"

    def file(self, environ: Mapping[str, str]) -> Path:
        """Return the user's settings."""
        return self.folder(environ) / "settings.json"

    def read_as(self) -> type[Document]:
        """Return JSON."""
        from mahavishnu.ai.foreign_files.documents.json_document import JsonDocument  # noqa: PLC0415 - each costs time

        return JsonDocument

    def check(self, document: Document) -> None:
        """Refuse a file of which the client would take nothing."""
        from mahavishnu.ai.clients.claude_code.schema import KNOWN, find_faults  # noqa: PLC0415 - large

        found = {name: document.get((name,)) for name in KNOWN}
        there = {name: each for name, each in found.items() if not isinstance(each, Absent)}
        for fault in find_faults(there):
            if fault.voids_file:
                raise _rejected(show_path(fault.path), fault.must_be)
        variables = document.get(("env",))
        for name, value in variables.items() if isinstance(variables, dict) else ():
            if not isinstance(value, str | int | float):
                raise _rejected(f"env.{name}", "a text")

    def is_secret(self, path: KeyPath) -> bool:
        """Tell whether it is a token."""
        return path in (env(TOKEN), env(API_KEY))

    def without(self, path: KeyPath) -> Value:
        """Return "none" for keys, that the sign-in does not go out instead; headers can be missing."""
        return "" if path == env(HEADERS) else NO_KEY

    def gives_back(self, path: KeyPath, delivery: Delivery) -> bool:
        """Tell whether it is a member beside address and key, and those are the client's own."""
        return delivery.mode == "native" and path not in {*map(env, SIGN_IN), HELPER}

    def blank(self, path: KeyPath) -> Value | Absent:
        """Return "" for variables."""
        return "" if path[0] == "env" else ABSENT

    def changes(self, document: Document, delivery: Delivery, known: Known) -> list[Change]:
        """Return a change for every variable that a profile owns."""
        if delivery.mode == "native":
            return self._sign_in(document, delivery, known)
        values = _variables(delivery) | {TIMEOUT: _own_timeout(document, delivery, known)}
        names = [
            name
            for name in OWNED_ENV
            if name not in ONLY_WHERE_THERE or known.project or is_there(document, env(name))
        ]
        changes: list[Change] = [Set(env(name), values.get(name, "")) for name in names]
        if SUBAGENT_MODEL not in names:
            changes.append(_NO_SUBAGENT_MODEL)
        if delivery.words:
            return [*changes, Set(HELPER, _helper(delivery, known))]
        return [*changes, Remove(HELPER, HELPER)]

    def _sign_in(self, document: Document, delivery: Delivery, known: Known) -> list[Change]:
        """
        Return what clears address, keys and clouds, and gives all else back.

        What belonged to another provider of the user's is not: its models would be asked of this one.
        A timeout of the user's own stays, whoever was asked; else that of the profile is written.
        In a project nothing of the user's own settings may show through, not even their helper.
        """
        if known.project:
            return [*(Set(env(name), "") for name in OWNED_ENV), Set(HELPER, "")]
        elsewhere = _led_elsewhere(document, known)
        changes: list[Change] = [Set(env(name), "") for name in SIGN_IN]
        for name in OWNED_ENV:
            path = env(name)
            if name == TIMEOUT and (timeout := _own_timeout(document, delivery, known)):
                changes.append(Set(path, timeout))
            elif name not in SIGN_IN and is_there(document, path):
                theirs = ABSENT if elsewhere else known.before(path, document)
                changes.append(Set(path, "" if isinstance(theirs, Absent) else theirs))
            elif name == SUBAGENT_MODEL:
                changes.append(_NO_SUBAGENT_MODEL)
        return [*changes, Remove(HELPER, HELPER)]

    def see(self, document: Document) -> CurrentProvider:
        """Return address, model, and where the key comes from."""
        line = text_at(document, HELPER)
        if any(document.get(env(name)) not in ("", ABSENT) for name in OTHER_CLOUDS):
            return CurrentProvider(url="other", model=text_at(document, env(LARGE_MODELS[0])))
        written = text_at(document, env(TOKEN)) or text_at(document, env(API_KEY))
        key = "written" if written and written != NO_KEY else ""
        return CurrentProvider(
            url=text_at(document, env(URL)),
            model=text_at(document, env(LARGE_MODELS[0])),
            key=key or (_reference_in(line) if line else ""),
        )

    def notes(self, delivery: Delivery, *, running: bool) -> list[str]:
        """Return what does not change in a running session, and what the client asks."""
        notes = []
        if running:
            notes.append(
                "Sessions of Claude Code that run take address and key over within 2 seconds, the model"
                " only when they are started again or by /model."
            )
            if len(delivery.words) > 1 and delivery.words[1].startswith("env:"):
                variable = delivery.words[1].removeprefix("env:")
                notes.append(
                    f"They look for the key in {variable} as it was when they were started; one that was"
                    " started before it was exported has none."
                )
        if delivery.mode == "written" and delivery.key_header == "x-api-key":
            notes.append("Claude Code asks once, in a session, whether it may use the API key.")
        return notes


def _own_timeout(document: Document, delivery: Delivery, known: Known) -> Value:
    """Return the user's own timeout, of the profile, adopted or from before, else the shipped one, else ""."""
    if delivery.timeout_ms not in (None, LONG_TIMEOUT_MS):
        return str(delivery.timeout_ms)
    before = "" if _is_forgotten(document, known) else known.before(env(TIMEOUT), document)
    theirs = known.adopted.get(env(TIMEOUT), before)
    if theirs not in ("", ABSENT) and not isinstance(theirs, Absent):
        return theirs
    return "" if delivery.timeout_ms is None else str(delivery.timeout_ms)


def _is_forgotten(document: Document, known: Known) -> bool:
    """Tell whether settings are of ours, and the journal is gone that knew what was there before."""
    helper = text_at(document, HELPER)
    return env(URL) not in known.originals and bool(helper) and _reference_in(helper) != "other"


def _led_elsewhere(document: Document, known: Known) -> bool:
    """Tell whether the user's own settings, before we wrote any, name another provider or a cloud."""
    if _is_forgotten(document, known):
        return True
    url = known.before(env(URL), document)
    url = url.rstrip("/") if isinstance(url, str) else url
    clouds = (known.before(env(name), document) for name in OTHER_CLOUDS)
    return url not in ("", ABSENT, DEFAULT_URL) or any(each not in ("", ABSENT) for each in clouds)


def _variables(delivery: Delivery) -> dict[str, Value]:
    """Return the variables of a profile that are not empty, without its timeout."""
    values: dict[str, Value] = dict.fromkeys(LARGE_MODELS, delivery.model)
    values |= dict.fromkeys((SMALL_MODEL, OLD_SMALL_MODEL), delivery.small_model or delivery.model)
    values[URL] = delivery.url
    if delivery.mode in ("written", "keyless"):
        raw = delivery.mode == "written" and delivery.key_header == "x-api-key"
        values[API_KEY if raw else TOKEN] = delivery.key.reveal()
    return values


def _helper(delivery: Delivery, known: Known) -> str:
    """
    Return the command for the key.

    The client asks it with the user's variables, without those of a project, and then goes where the
    project says: there, the command needs the address beside it.
    """
    line = helper_line(delivery.words)
    return f"{URL}={origin_of(delivery.url)} {line}" if known.project else line


def _reference_in(line: str) -> str:
    """Return the reference of a helper of ours; "other" for another command."""
    import shlex  # noqa: PLC0415 - where there is a helper

    try:
        given = shlex.split(line)
        program, *words = given[1:] if given[0].startswith(f"{URL}=") else given
        if Path(program).name == PROGRAM:
            return str(read_words(words).reference)
    except (ValueError, IndexError, MahavishnuError):
        pass
    return "other"


def _rejected(name: str, must_be: str) -> Corrupt:
    return Corrupt(
        f"{name} must be {must_be}: otherwise Claude Code ignores the whole file.",
        hint="Correct it in an editor; the file was left as it is.",
        code="document.rejected",
    )
