"""`mahavishnu session list`."""

import click

from mahavishnu.interfaces.cli.asking import asks
from mahavishnu.interfaces.cli.render import excerpt, local_time, print_table
from mahavishnu.operations.results import SessionPage


def _show(page: SessionPage) -> None:
    print_table(
        ("session", "last turn", "turns", "agents", "models", "project", "opening"),
        (
            (each.session_id, local_time(each.last_at), str(each.turns), ", ".join(each.agents),
             ", ".join(each.models), each.project or "", excerpt(each.opening, width=80))
            for each in page.sessions
        ),
    )  # fmt: skip


@click.command("list")
@click.option("--project", metavar="NAME", help="Only this project.")
@click.option("--agent", "agent_id", metavar="ID", help="Only those that this agent is in.")
@click.option("--since", metavar="WHEN", help="Went on after this: 7d, 12h, 2w, or a date.")
@click.option("--until", metavar="WHEN", help="Began before this; as --since.")
@click.option("--limit", default=20, show_default=True, help="Most sessions.")
@click.option("--cursor", metavar="TEXT", help="next_cursor of the page before (--json).")
@asks("list_sessions", _show, max_tokens=None)
def list_() -> None:
    """List sessions, the one with the newest turn first."""
