"""`mahavishnu session show`."""

import click

from mahavishnu.base.identifiers import shown
from mahavishnu.interfaces.cli.asking import asks
from mahavishnu.interfaces.cli.render import excerpt, local_time, print_line
from mahavishnu.operations.results import SessionPart


def _show(part: SessionPart) -> None:
    if part.last_checkpoint is not None:
        last = part.last_checkpoint
        score = "" if last.quality_score is None else f", quality {last.quality_score} of 100"
        print_line(f"Last checkpoint {local_time(last.at)}: commit {last.commit or 'none'}{score}")
    for each in part.insights:
        print_line(f"Insight {shown(each.id)}: {excerpt(each.content, width=80)}")
    for turn in part.turns:
        about = (turn.speaker or turn.role, turn.agent_id, turn.model, turn.metadata.get("status"))
        named = " · ".join(dict.fromkeys(str(each) for each in about if each))
        print_line(f"{turn.position}  {local_time(turn.occurred_at)}  {named}")
        print_line(f"{turn.content}\n")


@click.command()
@click.argument("session_id", metavar="SESSION")
@click.option("--project", metavar="NAME", help="Only the turns of this project.")
@click.option("--start", default=0, show_default=True, help="Turns to pass over.")
@asks("get_session", _show, max_tokens=None)
def show() -> None:
    """Show what was said in SESSION, in order."""
