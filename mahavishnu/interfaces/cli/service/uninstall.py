"""`mahavishnu service uninstall`."""

from pathlib import Path

import click

from mahavishnu.daemon.login import LoginBackend, LoginEntry, plan_login
from mahavishnu.daemon.login import uninstall as uninstall_login
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.service.login import login_options, show_entry


@click.command()
@login_options
@answers(show_entry)
def uninstall(backend: LoginBackend | None, config: Path | None, *, dry_run: bool) -> LoginEntry:
    """Remove what `mahavishnu service install` wrote; a file that somebody changed stays."""
    loaded = load()
    drain_s = loaded.settings.server.drain_timeout
    plan = plan_login(backend, loaded.locations, loaded.environ, drain_s=drain_s, config=config)
    return uninstall_login(plan, dry_run=dry_run)
