"""`mahavishnu ai`: adopt, restore."""

from collections.abc import Callable
from typing import Any, Literal, cast

import click

from mahavishnu.ai_env.profiles import SPOKEN, ClientName
from mahavishnu.cli.options import json_option, load_quietly

_CLIENT = click.option(
    "--client",
    "clients",
    multiple=True,
    type=click.Choice([*SPOKEN, "all"]),
    help="Only this client; repeatable. By default all whose settings were changed.",
)
_SCOPE = click.option(
    "--scope",
    type=click.Choice(["user", "project"]),
    default="user",
    show_default=True,
    help="user: your settings. project: yours in this project (Claude Code only).",
)


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    return _CLIENT(_SCOPE(json_option(command)))


@click.command()
@_options
def adopt(clients: tuple[str, ...], scope: str, as_json: bool) -> None:
    """
    Accept what was changed in clients' settings since a switch; no file is changed.

    It counts as written from then on: the next switch builds on it, and `ai undo` brings back what was
    written before.
    """
    from mahavishnu.ai_env.adopt import adopt as take_over  # noqa: PLC0415 - after option errors
    from mahavishnu.cli.ai.drift_output import show_adopted  # noqa: PLC0415
    from mahavishnu.environments.clients import require_trusted  # noqa: PLC0415
    from mahavishnu.environments.site import open_site  # noqa: PLC0415

    loaded = load_quietly()
    require_trusted(loaded)
    done = take_over(open_site(loaded), _named(clients), cast(Literal["user", "project"], scope))
    show_adopted(done, as_json=as_json)


@click.command()
@click.option("--dry-run", is_flag=True, help="Show what would change; write nothing.")
@click.option("--forget-keys", is_flag=True, help="Give up the plain-text keys in the settings.")
@click.option("--allow-missing-key", is_flag=True, help="Restore even if the key is missing.")
@_options
def restore(
    clients: tuple[str, ...],
    scope: str,
    dry_run: bool,
    forget_keys: bool,
    allow_missing_key: bool,
    as_json: bool,
) -> None:
    """
    Write again what a switch wrote and another program changed: address, key and models together.

    `ai undo` brings back what the other program wrote.
    """
    from mahavishnu.ai_env.restore import Restored, Wish, plan_restore  # noqa: PLC0415
    from mahavishnu.ai_env.restore import restore as write_again  # noqa: PLC0415
    from mahavishnu.cli.ai.restore_output import show_restored  # noqa: PLC0415
    from mahavishnu.environments.clients import require_trusted  # noqa: PLC0415
    from mahavishnu.environments.site import find_wanted, open_site  # noqa: PLC0415

    loaded = load_quietly()
    require_trusted(loaded)
    site = open_site(loaded)
    wish = Wish(
        clients=_named(clients),
        scope=cast(Literal["user", "project"], scope),
        forget_keys=forget_keys,
        allow_missing_key=allow_missing_key,
    )

    if dry_run:
        plans = plan_restore(site, lambda name: find_wanted(loaded, name), wish)
        done = Restored(tuple((plan, None) for plan in plans))
    else:
        done = write_again(site, lambda name: find_wanted(loaded, name), wish)
    show_restored(done, dry_run=dry_run, as_json=as_json)


def _named(clients: tuple[str, ...]) -> tuple[ClientName, ...]:
    return () if "all" in clients else cast(tuple[ClientName, ...], clients)
