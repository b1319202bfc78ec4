"""`mahavishnu service restart`."""

import click

from mahavishnu.interfaces.cli.ai import restart as ai_restart
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.service.acting import exit_code, show_results
from mahavishnu.interfaces.services import ask_act
from mahavishnu.operations.service_bodies import ServiceResults
from mahavishnu.operations.units import SESSIONS


@answers(show_results, code=exit_code)
async def _restart(names: tuple[str, ...], *, dry_run: bool) -> ServiceResults:
    return await ask_act(load(), "restart", [*names], confirm=not dry_run)


@click.command()
@click.argument("names", metavar="NAME|all...", nargs=-1, required=True)
@click.option("--dry-run", is_flag=True, help="Only show what would be restarted.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON (schema 1).")
@click.pass_context
def restart(
    context: click.Context, names: tuple[str, ...], *, dry_run: bool, as_json: bool
) -> None:
    """
    Restart services, and wait until they are healthy.

    A new definition that does not work is rolled back. The program of a client means its sessions:
    `claude` does what `mahavishnu ai restart --client claude-code` does. `all` are those, Session-Buddy,
    AgentDB, and services of your own.
    """
    if len(names) == 1 and names[0] in SESSIONS and not dry_run:
        context.invoke(ai_restart.restart, clients=(SESSIONS[names[0]],), as_json=as_json)
    else:
        _restart(names=names, dry_run=dry_run, as_json=as_json)
