"""
The running sessions of AI clients: which there are, and their restart. The command line and Python ask here.

Neither MCP nor HTTP offers this: a session that restarts others would often be one of them.
"""

import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from msgspec import Meta, field

from mahavishnu.ai.clients.session import SessionState
from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.sessions import restarting
from mahavishnu.ai.sessions.restarting import END_TIMEOUT_S, How, Restarted, Wish, choose, plan
from mahavishnu.ai.sessions.resume import shown_words
from mahavishnu.ai.sessions.session_state import find_session_states
from mahavishnu.ai.switching.site import Site
from mahavishnu.base.errors import NotFound, UsageError
from mahavishnu.operations.ai.results import (
    RestartedSession,
    RestartResult,
    ResumedSession,
    SessionBody,
    Sessions,
)
from mahavishnu.operations.ai.site import Environments
from mahavishnu.operations.operation import Request

MAX_TIMEOUT_S = 600.0
_LEAST_DIGITS = 4

type Clients = Annotated[
    list[ClientName], Meta(max_length=len(CLIENTS), description="Only sessions of these clients.")
]


class FindSessions(Request, frozen=True, kw_only=True):
    """Whose sessions; without any, those of all clients."""

    clients: Clients = field(default_factory=list)


class RestartSessions(Request, frozen=True, kw_only=True):
    """Which sessions, by id or pid; without any, those that a switch has not reached."""

    sessions: Annotated[
        list[str], Meta(description="Ids of sessions, whole or how they begin or end, or pids.")
    ] = field(default_factory=list)
    clients: Clients = field(default_factory=list)
    everywhere: Annotated[bool, Meta(description="Busy ones too, and those in any terminal.")] = (
        False
    )
    kill: Annotated[bool, Meta(description="Kill what does not end when it is asked to.")] = False
    timeout_s: Annotated[
        float,
        Meta(
            gt=0, le=MAX_TIMEOUT_S, description="Seconds to wait for a session to end, up to 600."
        ),
    ] = END_TIMEOUT_S


def find_sessions(environments: Environments, request: FindSessions) -> Sessions:
    """Return the sessions that run."""
    found = look(environments.site, environments.profiles, request.clients)
    return Sessions(sessions=[session_body(each) for each in found])


def restart(environments: Environments, request: RestartSessions) -> RestartResult:
    """
    Restart the sessions that are named, else those that only a restart brings to what the settings say.

    Raises:
        NotFound: `ai.no_session`.
        UsageError: `ai.session_ambiguous`.
    """
    site, profiles = environments.site, environments.profiles

    def look_again() -> tuple[SessionState, ...]:
        return look(site, profiles, request.clients)

    found = look_again()
    named = dict.fromkeys(_pick(word, found) for word in request.sessions)
    wish = Wish(
        busy=request.everywhere,
        anywhere=request.everywhere or bool(named),
        kill=request.kill,
        timeout_s=request.timeout_s,
    )
    done = restarting.restart(site, list(named) or choose(found), wish, look_again)
    return RestartResult(sessions=[restarted_body(each) for each in done])


def follow(
    environments: Environments, clients: Sequence[ClientName], how: How
) -> list[RestartedSession]:
    """Restart what a switch of clients has not reached; return that and what else does not follow it."""
    site, profiles = environments.site, environments.profiles
    found = look(site, profiles, clients)
    done = restarting.follow_switch(site, found, how, lambda: look(site, profiles, clients))
    return [restarted_body(each) for each in done]


def look(
    site: Site, profiles: Mapping[str, Profile], clients: Sequence[ClientName] = ()
) -> tuple[SessionState, ...]:
    """Return where the sessions stand now; without clients, those of all."""
    return find_session_states(site, profiles, site.journal.read(), clients or tuple(CLIENTS))


def session_body(state: SessionState) -> SessionBody:
    """Return what is shown of a session."""
    return SessionBody.like(state, **_fields(state, plan(state).words))


def restarted_body(done: Restarted) -> RestartedSession:
    """Return what is shown of a session that was to be restarted."""
    after = done.after
    return RestartedSession.like(
        done.state,
        **_fields(done.state, done.command),
        outcome=done.outcome,
        reason=done.reason,
        left_out=list(done.left_out),
        remaining=[each.pid for each in done.remaining],
        now=None if after is None else ResumedSession.like(after, pid=after.session.process.pid),
    )


def resume_line(words: Sequence[str], folder: str) -> str:
    """Return the line that resumes a session in any terminal; a key that it was started with is hidden."""
    line = shlex.join(shown_words(words))
    return f"cd {shlex.quote(folder)} && {line}" if folder else line


def _fields(state: SessionState, command: Sequence[str]) -> dict[str, Any]:
    """Return those fields of `SessionBody` that a state has not by the same names."""
    session = state.session
    since = datetime.fromtimestamp(session.since, UTC).isoformat(timespec="seconds")
    same = ("client", "folder", "activity", "version", "interactive")
    return {name: getattr(session, name) for name in same} | {
        "id": session.id or None,
        "pid": session.process.pid,
        "shared_process": session.shared,
        "since": since if session.since else None,
        "resume": resume_line(command, session.folder),
    }


def _pick(word: str, found: Sequence[SessionState]) -> SessionState:
    """
    Return the session that a word means.

    Raises:
        NotFound: `ai.no_session`.
        UsageError: `ai.session_ambiguous`.
    """
    text = word.strip().lower()
    fits = [each for each in found if _has_pid(text, each)]
    fits = fits or [each for each in found if _has_id(text, each)]
    if not fits:
        raise NotFound(
            f"There is no session {word!r} that runs.",
            hint="List them with: mahavishnu ai sessions",
            code="ai.no_session",
        )
    if len(fits) > 1:
        raise UsageError(
            f"{word!r} means more than one session.",
            hint="Write more of its id, or its pid.",
            code="ai.session_ambiguous",
        )
    return fits[0]


def _has_pid(text: str, state: SessionState) -> bool:
    found = state.session
    return not found.shared and text == str(found.process.pid)


def _has_id(text: str, state: SessionState) -> bool:
    known = state.session.id
    return len(text) >= _LEAST_DIGITS and (known.endswith(text) or known.startswith(text))
