"""Restart sessions that a switch does not reach: end one, wait until it is gone, resume it where it was, look again."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mahavishnu.ai.clients.running import is_suspended, words_of
from mahavishnu.ai.clients.session import RestartServer, Resume, RunningSession, SessionState
from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.ai.sessions.resume import at_home, on_profile, plan_resume, shown_words
from mahavishnu.ai.sessions.stopping import stop
from mahavishnu.ai.sessions.terminals import Pane, find_pane
from mahavishnu.ai.switching.site import Site
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.processes import ProcessIdentity

# resumed: it runs again where it was; stopped: it is gone, and `command` brings it back; left: nothing was
# done, for the reason given; stays: it was asked to end, and runs still.
type Outcome = Literal["resumed", "stopped", "left", "stays"]

END_TIMEOUT_S = 10.0
_BEGIN_TIMEOUT_S = 30.0
_WINDOWS_S = 3.0  # in which windows of Codex connect to its new server
_PAUSE_S = 0.1
type How = Literal["never", "idle", "all"]
type Look = Callable[[], Sequence[SessionState]]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """
    How far to go.

    `busy` takes sessions too that work on an answer, `anywhere` those too whose terminal cannot
    resume them, `kill` ends by force what does not end in `timeout_s`.
    """

    busy: bool = False
    anywhere: bool = False
    kill: bool = False
    timeout_s: float = END_TIMEOUT_S


@dataclass(frozen=True, kw_only=True)
class Restarted:
    """
    What became of one session.

    `command` resumes it by hand, without the options `left_out` that it had; `after` is where it stands
    now, and `remaining` are processes it had started that did not end with it.
    """

    state: SessionState
    outcome: Outcome
    reason: str = ""
    command: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    after: SessionState | None = None
    remaining: tuple[ProcessIdentity, ...] = ()


def restart(
    site: Site, states: Sequence[SessionState], wish: Wish, look: Look
) -> tuple[Restarted, ...]:
    """
    Restart these sessions, but never the one that this is called from; `look` tells where sessions stand.

    A session is asked to end only while it still is what it was when it was chosen.
    """
    done: list[Restarted] = []
    for name, client in CLIENTS.items():
        threads = [each for each in states if each.session.client == name]
        if threads and (restart_server := client.sessions.restart_server):
            done += _restart_threads(site, threads, wish, look, restart_server)
    for each in states:
        if not CLIENTS[each.session.client].sessions.restart_server:
            done.append(_restart_one(site, each, wish, look))
    return tuple(done)


def _restart_one(site: Site, state: SessionState, wish: Wish, look: Look) -> Restarted:
    session = state.session
    resume = plan(state)
    told = Restarted(state=state, outcome="left", command=resume.words, left_out=resume.left_out)
    reason = _why_not(state)
    if reason:
        return replace(told, reason=reason)
    if shown_words(resume.words) != resume.words:
        return replace(told, reason="its options hold a key, which is not typed again")
    pane = find_pane(session.process, site.environ)
    if pane is None and not wish.anywhere:
        return replace(told, reason="its terminal cannot resume it")
    others = frozenset(each.session.process for each in look())
    if not wish.busy and _activity_now(site, session) != "idle":
        return replace(told, reason="it is busy, or does not tell whether it is")
    if pane is not None:
        pane.hold()
    ended = stop(session.process, timeout_s=wish.timeout_s, force=wish.kill)
    told = replace(told, remaining=ended.left)
    if not ended.gone:
        if pane is not None:
            pane.release()
        return replace(told, outcome="stays", reason="it was asked to end, and did not")
    if pane is None:
        return replace(told, outcome="stopped", reason="its terminal cannot resume it")
    return _resume(
        told, resume, pane, lambda: [e for e in look() if e.session.process not in others]
    )


def _resume(told: Restarted, resume: Resume, pane: Pane, look: Look) -> Restarted:
    """Start it again in its pane; `look` tells where sessions stand that were not there before."""
    session = told.state.session
    started = pane.start(resume.words, session.folder, timeout_s=_BEGIN_TIMEOUT_S)
    after = _await(session, look) if started else None
    pane.release()
    if after is None:
        return replace(
            told, outcome="stopped", reason="it was not seen to begin again in its terminal"
        )
    return replace(told, outcome="resumed", after=after)


def _await(session: RunningSession, look: Look) -> SessionState | None:
    """Return the session that has this one's conversation, or begins where it was, in another process."""
    end = time.monotonic() + _BEGIN_TIMEOUT_S
    while time.monotonic() < end:
        for each in look():
            found = each.session
            same = found.id == session.id if session.id else found.folder == session.folder
            new = found.process != session.process and found.since >= session.since
            if same and new and found.client == session.client:
                return each
        time.sleep(_PAUSE_S)
    return None


def _why_not(state: SessionState) -> str:
    """Return why a session is not ended by anybody but its user; empty where it may be."""
    session = state.session
    if state.here:
        return "this command was called from it"
    if is_suspended(session.process):
        return "it is suspended in its shell, and would end once it goes on"
    if not session.certain:
        return "its process may be another one with the same number"
    if not session.interactive:
        return "nobody types into it, and it ends by itself"
    return ""


def plan(state: SessionState) -> Resume:
    """Return how a session is resumed on what the settings say."""
    words = words_of(state.session.process)
    strange = state.needs == "restart" and not state.wanted
    model = "" if strange else state.wanted or None
    resume = plan_resume(state.session, words, model=model)
    said = CLIENTS[state.session.client].said_by_run
    if state.reach == "own" and state.profile and said is not None:
        resume = on_profile(resume, state.profile, said)
    return at_home(resume, state.session)


def _activity_now(site: Site, session: RunningSession) -> str:
    """Return what it does at this moment; unknown where it is not there any more."""
    for each in site.sessions_of(session.client):
        if each.process == session.process and each.id == session.id:
            return each.activity
    return "unknown"


def _restart_threads(
    site: Site,
    threads: Sequence[SessionState],
    wish: Wish,
    look: Look,
    restart_server: RestartServer,
) -> list[Restarted]:
    """Restart the background server that has those of one client; a thread's own process is its user's to end."""
    name = threads[0].session.client
    told = [Restarted(state=each, outcome="left", command=plan(each).words) for each in threads]
    served = [each for each in look() if each.session.client == name and each.session.shared]
    busy = [each for each in served if each.session.activity != "idle"]
    reason = ""
    own = "it runs in a process of its own, which its user ends"
    if not any(each.session.shared for each in threads):
        reason = own
    elif any(each.here for each in served):
        reason = "this command was called from a thread of the same server"
    elif busy and not wish.busy:
        reason = "a thread of the same server is busy, or does not tell whether it is"
    else:
        try:
            restart_server(site.find(name).program, site.environ)
        except MahavishnuError as error:
            reason = error.message
    if reason:
        return [replace(each, reason=reason if each.state.session.shared else own) for each in told]
    after = _await_threads([each.state.session for each in told], look)
    return [
        _brought_along(each, after.get(each.state.session.id))
        if each.state.session.shared
        else replace(each, reason=own)
        for each in told
    ]


def _brought_along(told: Restarted, after: SessionState | None) -> Restarted:
    if after is None:
        return replace(told, outcome="stopped", reason="no window has it open")
    return replace(told, outcome="resumed", after=after)


def _await_threads(threads: Sequence[RunningSession], look: Look) -> dict[str, SessionState]:
    """Return where the threads stand, of those that windows open again."""
    end = time.monotonic() + _WINDOWS_S
    ids = {each.id for each in threads}
    while True:
        found = {each.session.id: each for each in look() if each.session.id in ids}
        if found.keys() >= ids or time.monotonic() > end:
            return found
        time.sleep(_PAUSE_S)


def choose(states: Sequence[SessionState]) -> list[SessionState]:
    """Return the sessions that only a restart brings to what the settings say."""
    return [each for each in states if each.needs == "restart"]


def follow_switch(
    site: Site, states: Sequence[SessionState], how: How, look: Look
) -> tuple[Restarted, ...]:
    """
    Restart what a switch has not reached, as far as `how` goes; return those, and who else does not follow.

    A session that this is called from, or that ends by itself, is among them.
    """
    chosen = choose(states) if how != "never" else []
    wish = Wish(busy=how == "all", anywhere=how == "all")
    left = [
        Restarted(state=each, outcome="left", reason=each.why, command=plan(each).words)
        for each in states
        if each.needs != "nothing" and each not in chosen
    ]
    return (*restart(site, chosen, wish, look), *left)
