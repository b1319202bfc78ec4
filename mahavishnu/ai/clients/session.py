"""What is known of a running session, whichever client it is of: where it stands, and how it is resumed."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from mahavishnu.ai.clients.failures import RecordedRequest
from mahavishnu.ai.clients.settings import CurrentProvider
from mahavishnu.ai.clients.transcripts import Line
from mahavishnu.ai.foreign_files.documents import Document
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.base.processes import ProcessIdentity

# busy: it works on an answer; unknown: its client says nothing of it in a form that is known.
type Activity = Literal["idle", "busy", "unknown"]
# live: it takes a switch over by itself; thread: a new thread does; restart: only once started again;
# own: it was started on a profile of its own, which no switch changes.
type Reach = Literal["live", "thread", "restart", "own"]
type Need = Literal["nothing", "thread", "restart"]
type RestartServer = Callable[[Path | None, Mapping[str, str]], None]

_QUOTES = re.compile("[\"',\\]]")


@dataclass(frozen=True, kw_only=True)
class RunningSession:
    """
    A session that runs.

    `id` is the client's own, by which it is resumed; empty where there is nothing to resume. `since` is
    the time, in seconds since the epoch, at which it read its settings. `model` is the one of the last
    answer, at the time `answered`: that may have been before it was resumed; empty without any. A busy one
    is so since `busy_since`, 0 where that is not known. With `shared` the process serves other sessions
    too; one that is `resumed` was begun in an earlier process, on what `provider` names. Unless `certain`,
    the pid may have come to mean another process.
    """

    client: str
    id: str
    process: ProcessIdentity
    folder: str
    since: float
    activity: Activity = "unknown"
    model: str = ""
    answered: float = 0.0
    busy_since: float = 0.0
    provider: str = ""
    version: str = ""
    interactive: bool = True
    shared: bool = False
    resumed: bool = False
    certain: bool = True


@dataclass(frozen=True, kw_only=True)
class SessionState:
    """
    Where a session stands.

    `model` is the one that it asks; `profile` the one that it is really on, None for none that is known;
    `url` the address, empty for the client's own or where it is not known. `reach` says how a switch
    reaches its address and key, `model_reach` its model; `needs` what it takes now to be on what the
    settings say, and `why`. `wanted` is the model that the settings say, empty for the client's own
    choice. `here` marks the session that this command was called from.
    """

    session: RunningSession
    model: str = ""
    profile: str | None = None
    url: str = ""
    reach: Reach
    model_reach: Reach
    needs: Need = "nothing"
    why: str = ""
    wanted: str = ""
    here: bool = False


@dataclass(frozen=True)
class Resume:
    """The `words`, the program first, and the options of the session that are not among them."""

    words: tuple[str, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SessionProvider:
    """What a profile says for one client; `url` is empty for the client's own sign-in, which is `native`."""

    url: str = ""
    model: str = ""
    small_model: str | None = None
    key: Reference | None = None
    native: bool = False

    def has(self, model: str) -> bool:
        """Tell whether a model is its own; where it says none, every one may be."""
        return not self.model or model in (self.model, self.small_model)


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """
    A client's settings, now and at earlier times, and the profiles that they may name.

    `document` is what the file at `path` says, `seen` what that means, `changed` when it was written, in
    seconds since the epoch. `match` tells which profile settings lead to, `at` which one they did at a
    time, `before` what they said then, as far as our own switches since tell.
    """

    environ: Mapping[str, str] = field(repr=False)
    path: Path
    document: Document = field(repr=False)
    seen: CurrentProvider
    changed: float
    providers: Mapping[str, SessionProvider]
    match: Callable[[CurrentProvider], str | None]
    at: Callable[[float], str | None]
    before: Callable[[float], Document]

    def provider(self, name: str | None) -> SessionProvider:
        """Return what a profile says; nothing where none is known."""
        return self.providers.get(name or "", SessionProvider())

    def find(self, url: str, model: str, key: str = "") -> str | None:
        """Return the profile of an address; of several, one whose key is named, then the one with the model."""
        found = {name: each for name, each in self.providers.items() if url and each.url == url}
        spaced = f"{_QUOTES.sub(' ', key)} "
        with_key = [name for name, each in found.items() if f"{each.key} " in spaced]
        with_model = [name for name in with_key or found if found[name].model == model]
        return next(iter(with_model or with_key or found), None)


class SessionsPort(Protocol):
    """The sessions of one client; in its own folder, `FILES` matches what it writes down of them."""

    FILES: str

    def read_attempt(self, line: Line) -> RecordedRequest | None:
        """Return what a line of such a file says of a request to the provider; None for all others."""
        ...

    def find(self, folder: Path) -> list[RunningSession]:
        """Return those that run, by the client's own folder; a file that cannot be understood tells less."""
        ...

    def judge(self, session: RunningSession, timeline: Timeline) -> SessionState:
        """Return where a session stands."""
        ...

    def resume(self, session: RunningSession, words: Sequence[str], model: str | None) -> Resume:
        """Return how one is resumed that was started by `words`; `model` as in `plan_resume`."""
        ...

    @property
    def restart_server(self) -> RestartServer | None:
        """
        Restart the background server that has the sessions; None where each has a process of its own.

        Raises:
            NotFound: `ai.program_missing`.
            Unavailable: `ai.server_not_restarted`.
        """
        ...


def stand_alone(
    session: RunningSession, timeline: Timeline, url: str, *, name: str = "", key: str = ""
) -> SessionState:
    """Return where a session stands that was started on an address of its own."""
    known = bool(url) and timeline.provider(name).url == url
    return SessionState(
        session=session, model=session.model, url=url, reach="own", model_reach="own",
        profile=name if known else timeline.find(url, session.model, key),
    )  # fmt: skip
