"""What `install` and `uninstall` have in common: their options, and how their answer is shown."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mahavishnu.base.paths import expanded
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.daemon.login import LOGIN_BACKENDS, LoginBackend, LoginEntry, LoginPlan, plan_login
from mahavishnu.interfaces.cli.options import add_options
from mahavishnu.interfaces.cli.render import print_line


def login_options[F: Callable[..., Any]](function: F) -> F:
    """Add the options to a command."""
    return add_options(
        function,
        click.option(
            "--backend", type=click.Choice(LOGIN_BACKENDS),
            help="Who starts it: launchd on macOS and systemd elsewhere by default.",
        ),
        click.option(
            "--config", type=click.Path(path_type=Path), metavar="FILE",
            help="Settings of your supervisord; `supervisord.config` or a usual place by default.",
        ),
        click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing."),
    )  # fmt: skip


def plan_for(loaded: Loaded, backend: LoginBackend | None, config: Path | None) -> LoginPlan:
    """Return the plan for what the options say, or else the settings."""
    settings = loaded.settings
    if config is None and settings.supervisord.config:
        config = expanded(settings.supervisord.config)
    return plan_login(
        backend,
        loaded.locations,
        loaded.environ,
        drain_s=settings.server.drain_timeout,
        config=config,
    )


def show_entry(body: LoginEntry) -> None:
    """Print what was written or removed, and what is left to do."""
    if body.dry_run and body.text is not None:
        print_line(f"Would write {body.path}:\n\n{body.text}")
    elif body.dry_run:
        print_line(f"Would remove {body.path}" if body.installed else f"There is no {body.path}.")
    elif body.installed:
        print_line(f"{'Wrote' if body.changed else 'Already there:'} {body.path}")
    else:
        print_line(f"Removed {body.path}" if body.changed else f"There is no {body.path}.")
    for line in body.ran:
        print_line(f"Ran: {line}")
    for line in body.to_run:
        print_line(f"Run: {line}")
    if body.unseen:
        print_line(
            f"It does not see these variables; put what they say into the settings file: {', '.join(body.unseen)}"
        )
