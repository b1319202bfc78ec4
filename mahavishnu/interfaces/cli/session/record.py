"""`mahavishnu session record`."""

from typing import Any

import click
from msgspec import Struct

from mahavishnu.interfaces.cli.asking import ask
from mahavishnu.interfaces.cli.memory.text import read_text
from mahavishnu.interfaces.cli.options import (
    answers,
    metadata_option,
    project_option,
    read_time,
    source_option,
)
from mahavishnu.interfaces.cli.render import print_recorded


@click.command()
@click.argument("text", required=False)
@click.option("--session", "session_id", required=True, metavar="ID", help="Session it is part of.")
@click.option("--position", required=True, type=int, help="Place in the session, from 0.")
@click.option("--role", required=True, metavar="ROLE", help="user, assistant, system or tool.")
@click.option("--speaker", metavar="NAME", help="Name of who said it.")
@click.option("--agent", "agent_id", metavar="ID", help="Agent that the session is with.")
@project_option
@source_option
@click.option("--branch", metavar="NAME", help="Branch of git it was said on.")
@click.option("--model", metavar="NAME", help="Model that answered.")
@click.option("--profile", metavar="NAME", help="Profile that the client was on.")
@metadata_option
@click.option("--occurred-at", metavar="WHEN", callback=read_time,
              help="When it was said; now by default.")  # fmt: skip
@answers(print_recorded)
async def record(text: str | None, **fields: Any) -> Struct:
    """
    Record the turn TEXT (or what is piped in).

    Recorded again with another text, the later text takes the place of the former.
    """
    return await ask("record_turn", content=read_text(text), **fields)
