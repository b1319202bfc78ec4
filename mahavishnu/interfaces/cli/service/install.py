"""`mahavishnu service install`."""

from pathlib import Path

import click

from mahavishnu.daemon.login import LoginBackend, LoginEntry
from mahavishnu.daemon.login import install as install_login
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.service.login import login_options, plan_for, show_entry


@click.command()
@login_options
@answers(show_entry)
def install(backend: LoginBackend | None, config: Path | None, *, dry_run: bool) -> LoginEntry:
    """Let systemd, launchd or supervisord start the daemon when you log in, and again when it failed."""
    loaded = load()
    plan = plan_for(loaded, backend, config)
    return install_login(plan, loaded.locations, loaded.environ, dry_run=dry_run)
