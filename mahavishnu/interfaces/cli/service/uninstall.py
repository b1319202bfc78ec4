"""`mahavishnu service uninstall`."""

from pathlib import Path

import click

from mahavishnu.daemon.login import LoginBackend, LoginEntry
from mahavishnu.daemon.login import uninstall as uninstall_login
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.service.login import login_options, plan_for, show_entry


@click.command()
@login_options
@answers(show_entry)
def uninstall(backend: LoginBackend | None, config: Path | None, *, dry_run: bool) -> LoginEntry:
    """Remove what `mahavishnu service install` wrote; a file that somebody changed stays."""
    loaded = load()
    plan = plan_for(loaded, backend, config)
    return uninstall_login(plan, dry_run=dry_run)
