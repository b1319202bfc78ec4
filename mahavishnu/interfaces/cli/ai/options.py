"""Options that commands for AI clients share."""

from collections.abc import Callable
from typing import Any

import click

from mahavishnu.ai.clients.table import CLIENTS

type _Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Show what would change; write nothing."
)
forget_keys_option = click.option(
    "--forget-keys", is_flag=True, help="Give up the plain-text keys in the settings."
)
overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Give up what was changed there by hand."
)


def scope_option(meaning: str) -> _Decorator:
    """Return the option for the scope of what is read or changed."""
    return click.option(
        "--scope",
        type=click.Choice(["user", "project"]),
        default="user",
        show_default=True,
        help=meaning,
    )


def clients_option(others: str) -> _Decorator:
    """Return the option for the clients that are meant; `others` says which are where none is named."""
    return click.option(
        "--client",
        "clients",
        multiple=True,
        type=click.Choice([*CLIENTS, "all"]),
        callback=lambda _context, _option, names: () if "all" in names else names,
        help=f"Only this client; repeatable. Else {others}.",
    )


provider_scope_option = scope_option(
    "Your settings, or yours in the project you are in (Claude Code alone)."
)
changed_clients_option = clients_option("all whose settings were changed")
