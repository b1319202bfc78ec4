"""`mahavishnu pause`: let automatic acts rest."""

import click

from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import local_time, print_line
from mahavishnu.operations.automation import Automation, PauseAutomation
from mahavishnu.operations.automation import pause as begin
from mahavishnu.services.schedule.pause import Pause, PauseFile


def describe_pause(pause: Pause) -> str:
    """Return a sentence about a pause."""
    end = f"until {local_time(pause.until)}" if pause.until else "until they are resumed"
    kind = "are only recorded in the events" if pause.dry_run else "rest"
    return f"Automatic acts {kind} {end}."


def show(body: Automation) -> None:
    """Print whether automatic acts rest."""
    print_line(describe_pause(body.paused) if body.paused else "Automatic acts go on.")


@click.command()
@click.option("--for", "duration", metavar="TIME", help="How long, for example 30m, 2h or 1d.")
@click.option("--dry-run", is_flag=True, help="Record in the events what would have been done.")
@answers(show)
def pause(duration: str | None, *, dry_run: bool) -> Automation:
    """Let jobs, restarts for changed settings and forgetting for age rest; what waits to be stored goes on."""
    request = PauseAutomation(duration=duration, dry_run=dry_run)
    request.check()
    return begin(PauseFile(load_quietly().locations.state), request)
