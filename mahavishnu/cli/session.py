"""`mahavishnu session`: conversations, turn by turn."""

import click

from mahavishnu.cli.options import (
    METADATA_HELP,
    asynchronous,
    json_option,
    opened_app,
    parse_metadata,
    read_text,
)
from mahavishnu.cli.render import print_json, print_line
from mahavishnu.identifiers import shown
from mahavishnu.operations.moments import parse_moment


@click.group()
def session() -> None:
    """Record conversations, turn by turn."""


@session.command()
@click.argument("text", required=False)
@click.option("--session", "session_id", required=True, metavar="ID", help="Session it is part of.")
@click.option("--position", required=True, type=int, help="Place in the session, from 0.")
@click.option("--role", required=True, metavar="ROLE", help="user, assistant, system or tool.")
@click.option("--speaker", metavar="NAME", help="Name of who said it.")
@click.option("--agent", metavar="ID", help="Agent that the session is with.")
@click.option("--project", metavar="NAME", help="Project; made if it is new.")
@click.option("--source", default="cli", show_default=True, metavar="NAME", help="Source system.")
@click.option("--branch", metavar="NAME", help="Branch of git it was said on.")
@click.option("--model", metavar="NAME", help="Model that answered.")
@click.option("--profile", metavar="NAME", help="Profile that the client was on.")
@click.option("--metadata", multiple=True, metavar="K=V|JSON", help=f"Repeatable. {METADATA_HELP}")
@click.option("--occurred-at", metavar="WHEN", help="When it was said; now by default.")
@json_option
@asynchronous
async def record(
    text: str | None,
    session_id: str,
    position: int,
    role: str,
    speaker: str | None,
    agent: str | None,
    project: str | None,
    source: str,
    branch: str | None,
    model: str | None,
    profile: str | None,
    metadata: tuple[str, ...],
    occurred_at: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """
    Record the turn TEXT (or what is piped in).

    Recorded again with another text, the later text takes the place of the former.
    """
    from mahavishnu.memory.conversations import NewTurn  # noqa: PLC0415 - after option errors

    turn = NewTurn(
        session_id=session_id,
        position=position,
        role=role,  # type: ignore[arg-type]  # checked where it is recorded
        content=read_text(text),
        speaker=speaker,
        agent_id=agent,
        project=project,
        source_system=source,
        occurred_at=parse_moment(occurred_at, what="--occurred-at"),
        metadata=parse_metadata(metadata),
        branch=branch,
        model=model,
        profile=profile,
    )
    async with opened_app() as app:
        [stored] = await app.conversations.record([turn])
    if as_json:
        print_json({"id": stored.id, "created": stored.created, "embedded": stored.embedded})
        return
    print_line(f"{'Recorded' if stored.created else 'Already recorded as'} {shown(stored.id)}")
