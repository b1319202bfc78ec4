"""`mahavishnu session`: conversations, turn by turn."""

from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from mahavishnu.base.identifiers import shown
from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.memory.hits import print_answer
from mahavishnu.interfaces.cli.options import answers, metadata_option, read_text, read_time
from mahavishnu.interfaces.cli.render import excerpt, local_time, print_line, print_table

if TYPE_CHECKING:
    from mahavishnu.operations.records import RecordedTurn
    from mahavishnu.operations.results import SessionPage, SessionPart


@click.group()
def session() -> None:
    """Record conversations; list, show and search them."""


def _show_recorded(stored: "RecordedTurn") -> None:
    print_line(f"{'Recorded' if stored.created else 'Already recorded as'} {shown(stored.id)}")


@session.command()
@click.argument("text", required=False)
@click.option("--session", "session_id", required=True, metavar="ID", help="Session it is part of.")
@click.option("--position", required=True, type=int, help="Place in the session, from 0.")
@click.option("--role", required=True, metavar="ROLE", help="user, assistant, system or tool.")
@click.option("--speaker", metavar="NAME", help="Name of who said it.")
@click.option("--agent", "agent_id", metavar="ID", help="Agent that the session is with.")
@click.option("--project", metavar="NAME", help="Project; made if it is new.")
@click.option("--source", "source_system", default="cli", show_default=True, metavar="NAME",
              help="Source system.")  # fmt: skip
@click.option("--branch", metavar="NAME", help="Branch of git it was said on.")
@click.option("--model", metavar="NAME", help="Model that answered.")
@click.option("--profile", metavar="NAME", help="Profile that the client was on.")
@metadata_option
@click.option("--occurred-at", metavar="WHEN", callback=read_time,
              help="When it was said; now by default.")  # fmt: skip
@answers(_show_recorded)
async def record(text: str | None, **fields: Any) -> Struct:
    """
    Record the turn TEXT (or what is piped in).

    Recorded again with another text, the later text takes the place of the former.
    """
    return await ask("record_turn", content=read_text(text), **fields)


def _show_page(page: "SessionPage") -> None:
    print_table(
        ("session", "last turn", "turns", "agents", "models", "project", "opening"),
        (
            (each.session_id, local_time(each.last_at), str(each.turns), ", ".join(each.agents),
             ", ".join(each.models), each.project or "", excerpt(each.opening, width=80))
            for each in page.sessions
        ),
    )  # fmt: skip


@session.command("list")
@click.option("--project", metavar="NAME", help="Only this project.")
@click.option("--agent", "agent_id", metavar="ID", help="Only those that this agent is in.")
@click.option("--since", metavar="WHEN", help="Went on after this: 7d, 12h, 2w, or a date.")
@click.option("--until", metavar="WHEN", help="Began before this; as --since.")
@click.option("--limit", default=20, show_default=True, help="Most sessions.")
@click.option("--cursor", metavar="TEXT", help="next_cursor of the page before (--json).")
@answers(_show_page)
async def list_sessions(**fields: Any) -> Struct:
    """List sessions, the one with the newest turn first."""
    return await ask("list_sessions", max_tokens=None, **fields)


def _show_part(part: "SessionPart") -> None:
    for turn in part.turns:
        about = (turn.speaker or turn.role, turn.agent_id, turn.model, turn.metadata.get("status"))
        named = " · ".join(dict.fromkeys(str(each) for each in about if each))
        print_line(f"{turn.position}  {local_time(turn.occurred_at)}  {named}")
        print_line(f"{turn.content}\n")


@session.command()
@click.argument("session_id", metavar="SESSION")
@click.option("--project", metavar="NAME", help="Only the turns of this project.")
@click.option("--start", default=0, show_default=True, help="Turns to pass over.")
@answers(_show_part)
async def show(**fields: Any) -> Struct:
    """Show what was said in SESSION, in order."""
    return await ask("get_session", max_tokens=None, **fields)


@session.command("search")
@click.argument("query")
@click.option("--session", "session_id", metavar="ID", help="Only this session.")
@click.option("--agent", "agent_id", metavar="ID", help="Only this agent.")
@click.option("--project", "projects", multiple=True, metavar="NAME", help="Repeatable.")
@click.option("--since", metavar="WHEN", help="7d, 12h, 2w, or a date.")
@click.option("--until", metavar="WHEN", help="Before this; as --since.")
@click.option("--limit", default=10, show_default=True, help="Most turns.")
@answers(print_answer)
async def search(**fields: Any) -> Struct:
    """Find the turns that answer QUERY, best first: `memory search --collection conversation`."""
    return await ask("search", collections=["conversation"], max_tokens=None, **fields)
