"""What the commands about running sessions print."""

from collections.abc import Iterator, Sequence

from msgspec.structs import asdict

from mahavishnu.ai_env.clients.table import CLIENTS
from mahavishnu.ai_env.following.restarting import Restarted
from mahavishnu.ai_env.following.resume import shown_words
from mahavishnu.ai_env.following.standing import Reach, Standing
from mahavishnu.cli.render import print_json, print_line, print_table
from mahavishnu.masking import MASK
from mahavishnu.operations.sessions import restarted_body, resume_line, session_body

_OUTCOMES = {"stopped": "ended", "left": "runs on", "stays": "runs on"}
_NEEDS = {"nothing": "", "thread": "a new thread", "restart": "a restart"}
_REACHES: dict[Reach, str] = {
    "live": "live", "thread": "new thread", "restart": "restart", "own": "not at all",
}  # fmt: skip


def show_sessions(standings: Sequence[Standing], *, as_json: bool) -> None:
    """Print sessions."""
    if as_json:
        print_json({"sessions": [asdict(session_body(each)) for each in standings]})
        return
    if not standings:
        print_line("No session runs.")
        return
    print_table(
        ("session", "client", "folder", "on", "model", "is", "a switch reaches it", "needs"),
        (
            (
                name_of(each),
                CLIENTS[each.session.client].title,
                each.session.folder,
                _on(each),
                each.model,
                f"{each.session.activity}{', this one' if each.here else ''}",
                _reach(each),
                f"{_NEEDS[each.needs]}{f': {each.why}' if each.why else ''}".removeprefix(": "),
            )
            for each in standings
        ),
    )


def name_of(standing: Standing) -> str:
    """Return the short name of a session: the end of its id, or its pid where it has none yet."""
    return standing.session.id[-8:] or str(standing.session.process.pid)


def _on(standing: Standing) -> str:
    return standing.profile or standing.url or "not known"


def _reach(standing: Standing) -> str:
    model = _REACHES[standing.model_reach]
    reach = _REACHES[standing.reach]
    return reach if model == reach else f"{reach}, model: {model}"


def show_restarts(done: Sequence[Restarted], *, app: bool | None, as_json: bool) -> None:
    """Print what became of sessions."""
    if as_json:
        print_json(
            {"sessions": [asdict(restarted_body(each)) for each in done], "app_restarted": app}
        )
        return
    if not done and app is None:
        print_line("No session needs a restart.")
    for line in lines_of(done):
        print_line(line)
    if app is not None:
        print_line("The desktop app was restarted." if app else "The desktop app does not run.")


def lines_of(done: Sequence[Restarted]) -> list[str]:
    """Return what became of sessions, and how to go on with those that are not where they should be."""
    return [line for each in done for line in _lines_of(each)]


def _lines_of(done: Restarted) -> Iterator[str]:
    standing = done.standing
    session = standing.session
    name = f"{CLIENTS[session.client].title}, session {name_of(standing)} in {session.folder}"
    if done.outcome == "resumed":
        on = f" on {done.after.profile}" if done.after and done.after.profile else ""
        yield f"{name}: started again{on}."
    else:
        yield f"{name}: {_OUTCOMES[done.outcome]}; {done.reason}."
    if done.left_out:
        yield f"  It had other options too: {' '.join(done.left_out)}"
    if done.remaining:
        pids = ", ".join(str(each.pid) for each in done.remaining)
        yield f"  Processes that it had started still run: {pids}"
    if done.outcome != "resumed" or (done.after is not None and done.after.needs != "nothing"):
        yield f"  To go on with it: {resume_line(done.command, session.folder)}"
        if shown_words(done.command) != done.command:
            yield f"  Where {MASK} stands, it was started with a key, which is not shown."
