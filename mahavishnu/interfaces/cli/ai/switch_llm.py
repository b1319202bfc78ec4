"""`mahavishnu ai switch-llm`."""

import sys
from typing import Any, Literal

import click
from msgspec.structs import replace

from mahavishnu.ai.switching.switch import SwitchOptions
from mahavishnu.interfaces.cli.ai.client_output import print_trial
from mahavishnu.interfaces.cli.ai.options import (
    clients_option,
    forget_keys_option,
    overwrite_option,
    provider_scope_option,
)
from mahavishnu.interfaces.cli.ai.sessions_output import lines_of
from mahavishnu.interfaces.cli.ai.switch_messages import tell_profiles
from mahavishnu.interfaces.cli.ai.switch_output import is_native, print_plan, print_switch
from mahavishnu.interfaces.cli.ai.undo import show_undo
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.operations.ai.results import SwitchResult
from mahavishnu.operations.ai.site import Environments
from mahavishnu.operations.ai.switching import find_running, switch_clients, undo_switch
from mahavishnu.operations.ai.verdicts import worst


def _show(body: SwitchResult) -> None:
    if body.dry_run:
        print_plan(body, _ask(click.get_current_context().params))
        return
    print_switch(body, lines_of(body.sessions))
    if body.trials and not is_native(body):
        judge(body, Environments(load_quietly()))


def judge(body: SwitchResult, environments: Environments) -> None:
    """Print what came of asking the provider, and offer undo where it failed."""
    for each in body.trials or ():
        print_trial(each)
    if code_of(body) and body.id is not None and sys.stdin.isatty():
        click.echo("The switch is made, and its provider does not answer as it should.", err=True)
        if click.confirm("Take it back?", err=True):
            show_undo(undo_switch(environments, str(body.id)))


def code_of(body: SwitchResult) -> int:
    """Return the exit code: that of asking the provider, where it was asked."""
    if not body.trials or is_native(body):
        return 0
    return worst(body.trials)


@click.command()
@click.argument("name")
@clients_option("all that are there and that the profile fits")
@provider_scope_option
@click.option(
    "--restart",
    "how",
    type=click.Choice(["never", "idle", "all"]),
    default="idle",
    show_default=True,
    help="Which sessions to restart of those that the switch does not reach: the idle ones that tmux can"
    " resume, or all.",
)
@click.option(
    "--verify/--no-verify",
    "verified",
    default=None,
    help="Ask the provider once afterwards, and offer undo where it fails. By default what the setting"
    " ai_environments.verify_switch says.",
)
@click.option("--dry-run", is_flag=True, help="Print what would change, and write nothing.")
@click.option("--write-key", is_flag=True, help="Write the key itself into the clients' settings.")
@overwrite_option
@forget_keys_option
@click.option(
    "--move-key",
    metavar="REFERENCE",
    help="Move the plain-text key in the settings: into keyring:SERVICE; or it is at file:... or env:NAME"
    " already, and only taken out.",
)
@click.option(
    "--via",
    type=click.Choice(["gateway", "direct"]),
    help="Point clients at the local gateway, which takes them to NAME; or at the provider itself. By default each"
    " goes as it does now: of one behind the gateway only the route changes.",
)
@click.option("--direct", "via", flag_value="direct", help="The same as --via direct.")
@click.option("--allow-missing-key", is_flag=True, help="Switch though the key is not there yet.")
@answers(_show, code=code_of)
def switch_llm(
    name: str,
    how: Literal["never", "idle", "all"],
    verified: bool | None,
    dry_run: bool,
    **wished: Any,
) -> SwitchResult:
    """Point AI clients at the provider of profile NAME: address, key and models as one."""
    loaded = load_quietly()
    environments = Environments(loaded)
    profile = environments.find_wanted(name)
    tell_profiles(loaded)
    done = switch_clients(environments, profile, SwitchOptions(**wished), dry_run=dry_run)
    if dry_run:
        return done
    if running := find_running(environments, done):
        from mahavishnu.operations.ai.sessions import follow  # noqa: PLC0415 - slow: psutil

        done = replace(done, sessions=follow(environments, running, how))
    if loaded.settings.ai_environments.verify_switch if verified is None else verified:
        from mahavishnu.operations.ai.verification import try_switch  # noqa: PLC0415 - slow: HTTP

        done = replace(done, trials=try_switch(environments, profile, done))
    return done


def _ask(params: dict[str, Any]) -> SwitchOptions:
    return SwitchOptions(
        **{key: value for key, value in params.items() if key in SwitchOptions.__dataclass_fields__}
    )
