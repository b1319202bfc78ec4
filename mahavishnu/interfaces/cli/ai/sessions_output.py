"""What the commands about running sessions print."""

from collections.abc import Iterator, Sequence

from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.base.masking import MASK
from mahavishnu.interfaces.cli.render import print_line, print_table
from mahavishnu.operations.ai.results import RestartedSession, SessionBody, Sessions

_OUTCOMES = {"stopped": "ended", "left": "runs on", "stays": "runs on"}
_NEEDS = {"nothing": "", "thread": "a new thread", "restart": "a restart"}
_REACHES = {"live": "live", "thread": "new thread", "restart": "restart", "own": "not at all"}


def show_sessions(body: Sessions) -> None:
    """Print sessions."""
    if not body.sessions:
        print_line("No session runs.")
        return
    print_table(
        ("session", "client", "folder", "on", "model", "is", "a switch reaches it", "needs"),
        (
            (
                _name_of(each),
                CLIENTS[each.client].title,
                each.folder,
                each.profile or each.url or "not known",
                each.model,
                f"{each.activity}{', this one' if each.here else ''}",
                _reach(each),
                f"{_NEEDS[each.needs]}{f': {each.why}' if each.why else ''}".removeprefix(": "),
            )
            for each in body.sessions
        ),
    )


def _name_of(session: SessionBody) -> str:
    """Return the short name of a session: the end of its id, or its pid where it has none yet."""
    return (session.id or "")[-8:] or str(session.pid)


def _reach(session: SessionBody) -> str:
    model = _REACHES[session.model_reach]
    reach = _REACHES[session.reach]
    return reach if model == reach else f"{reach}, model: {model}"


def lines_of(done: Sequence[RestartedSession]) -> list[str]:
    """Return what became of sessions, and how to go on with those that are not where they should be."""
    return [line for each in done for line in _lines_of(each)]


def _lines_of(done: RestartedSession) -> Iterator[str]:
    name = f"{CLIENTS[done.client].title}, session {_name_of(done)} in {done.folder}"
    if done.outcome == "resumed":
        on = f" on {done.now.profile}" if done.now and done.now.profile else ""
        yield f"{name}: started again{on}."
    else:
        yield f"{name}: {_OUTCOMES[done.outcome]}; {done.reason}."
    if done.left_out:
        yield f"  It had other options too: {' '.join(done.left_out)}"
    if done.remaining:
        yield f"  Processes that it had started still run: {', '.join(map(str, done.remaining))}"
    if done.outcome != "resumed" or (done.now is not None and done.now.needs != "nothing"):
        yield f"  To go on with it: {done.resume}"
        if MASK in done.resume:
            yield f"  Where {MASK} stands, it was started with a key, which is not shown."
