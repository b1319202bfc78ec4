"""`mahavishnu session`: conversations, turn by turn."""

from typing import TYPE_CHECKING, Any

import click

from mahavishnu.cli.asking import ask
from mahavishnu.cli.options import (
    asynchronous,
    json_option,
    metadata_option,
    read_text,
    read_time,
)
from mahavishnu.cli.render import print_json, print_line
from mahavishnu.identifiers import shown

if TYPE_CHECKING:
    from mahavishnu.operations.records import RecordedTurn


@click.group()
def session() -> None:
    """Record conversations, turn by turn."""


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
@json_option
@asynchronous
async def record(text: str | None, as_json: bool, **fields: Any) -> None:
    """
    Record the turn TEXT (or what is piped in).

    Recorded again with another text, the later text takes the place of the former.
    """
    stored: RecordedTurn = await ask("record_turn", content=read_text(text), **fields)
    if as_json:
        print_json(stored)
    else:
        print_line(f"{'Recorded' if stored.created else 'Already recorded as'} {shown(stored.id)}")
