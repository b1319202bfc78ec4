"""`mahavishnu ai`: list-llms, switch-llm, status, diff, history, undo."""

import sys
from typing import Any, Literal, cast

import click

from mahavishnu.ai_env.profiles import SPOKEN, ClientName
from mahavishnu.cli.options import json_option, load, load_quietly
from mahavishnu.errors import Corrupt, Forbidden


@click.command()
@json_option
def list_llms(as_json: bool) -> None:
    """List the profiles, and which of them each client uses."""
    from mahavishnu.ai_env.status import look  # noqa: PLC0415 - after option errors
    from mahavishnu.cli.ai.status_output import show_profiles  # noqa: PLC0415
    from mahavishnu.cli.ai.telling import tell_profiles  # noqa: PLC0415
    from mahavishnu.environments.profiles import (  # noqa: PLC0415
        known_profiles,
        read_own,
        shared_lacks,
    )
    from mahavishnu.environments.site import open_site  # noqa: PLC0415

    loaded = load()
    tell_profiles(loaded, listed=True)
    site, profiles = open_site(loaded), known_profiles(loaded)
    statuses = look(site, profiles, site.journal.read())
    lacks, own = shared_lacks(loaded, site), read_own(loaded)
    show_profiles(site, profiles, statuses, lacks, own, as_json=as_json)


@click.command()
@click.argument("name")
@click.option(
    "--client",
    "clients",
    multiple=True,
    type=click.Choice([*SPOKEN, "all"]),
    help="Only this client; repeatable. By default all installed clients that the profile fits.",
)
@click.option(
    "--scope",
    type=click.Choice(["user", "project"]),
    default="user",
    show_default=True,
    help="user: your settings. project: yours in this project (Claude Code only).",
)
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
    help="Ask the provider once afterwards, and offer undo if it fails. The default is the setting"
    " ai_environments.verify_switch says.",
)
@click.option("--dry-run", is_flag=True, help="Show what would change; write nothing.")
@click.option("--write-key", is_flag=True, help="Write the key itself into the clients' settings.")
@click.option("--overwrite", is_flag=True, help="Discard manual changes there.")
@click.option("--forget-keys", is_flag=True, help="Give up the plain-text keys in the settings.")
@click.option(
    "--move-key",
    metavar="REFERENCE",
    help="Move the plain-text key in the settings: into keyring:SERVICE; or it is at file:... or env:NAME"
    " already, and only taken out.",
)
@click.option("--allow-missing-key", is_flag=True, help="Switch even if the key is missing.")
@json_option
def switch_llm(
    name: str,
    clients: tuple[str, ...],
    scope: str,
    how: Literal["never", "idle", "all"],
    verified: bool | None,
    dry_run: bool,
    write_key: bool,
    overwrite: bool,
    forget_keys: bool,
    move_key: str | None,
    allow_missing_key: bool,
    as_json: bool,
) -> None:
    """Switch AI clients to the provider of profile NAME: address, key and models together."""
    from mahavishnu.ai_env.apply import Ask, plan_switch, switch  # noqa: PLC0415
    from mahavishnu.ai_env.clients.table import CLIENTS  # noqa: PLC0415
    from mahavishnu.ai_env.sessions.table import FINDERS  # noqa: PLC0415
    from mahavishnu.cli.ai.switch_output import show_plan, show_switch  # noqa: PLC0415
    from mahavishnu.cli.ai.telling import tell_profiles  # noqa: PLC0415
    from mahavishnu.environments.hindered import naming_others  # noqa: PLC0415
    from mahavishnu.environments.site import find_wanted, open_site  # noqa: PLC0415
    from mahavishnu.environments.team_profiles import accept  # noqa: PLC0415

    loaded = load_quietly()
    profile = find_wanted(loaded, name)
    tell_profiles(loaded)
    site = open_site(loaded)
    if scope == "project":
        from mahavishnu.environments.bindings import require_free  # noqa: PLC0415

        require_free(site, name)
    ask = Ask(
        clients=[] if "all" in clients else cast(tuple[ClientName, ...], clients),
        scope=cast(Literal["user", "project"], scope),
        write_key=write_key,
        overwrite=overwrite,
        forget_keys=forget_keys,
        allow_missing_key=allow_missing_key,
        move_key=move_key,
    )
    with naming_others(site, profile, ask):
        if dry_run:
            show_plan(plan_switch(site, profile, ask), ask, as_json=as_json)
            return
        done = switch(site, profile, ask)
        accept(loaded, profile)
    names = [file.name for file in done.plan.files]
    run = [n for n in names if FINDERS[n](CLIENTS[n].folder(site.environ), site.environ)]
    rows: list[dict[str, Any]] = []
    lines: list[str] = []
    if run:
        from mahavishnu.cli.ai.sessions import follow  # noqa: PLC0415 - psutil and more

        rows, lines = follow(loaded, site, run, how=how)
    if loaded.settings.ai_environments.verify_switch if verified is None else verified:
        from mahavishnu.cli.ai.verified_switch import judge, try_switch  # noqa: PLC0415 - slow

        trials = try_switch(loaded, done)
        show_switch(done, rows, lines, trials, as_json=as_json)
        sys.exit(judge(site, done, trials, as_json=as_json))
    show_switch(done, rows, lines, as_json=as_json)


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Show which provider each client uses, and what was changed in its settings since."""
    from mahavishnu.ai_env.status import look  # noqa: PLC0415
    from mahavishnu.cli.ai.status_output import show_status  # noqa: PLC0415
    from mahavishnu.cli.ai.telling import tell_profiles  # noqa: PLC0415
    from mahavishnu.environments.bindings import find_bound  # noqa: PLC0415
    from mahavishnu.environments.profiles import known_profiles  # noqa: PLC0415
    from mahavishnu.environments.site import open_site  # noqa: PLC0415

    loaded = load()
    tell_profiles(loaded)
    site = open_site(loaded)
    history = site.journal.read()
    statuses = look(site, known_profiles(loaded), history)
    try:
        show_status(statuses, history, find_bound(site), as_json=as_json)
    except (Corrupt, Forbidden) as error:  # what is bound cannot be told
        show_status(statuses, history, error, as_json=as_json)


@click.command()
@json_option
def diff(as_json: bool) -> None:
    """
    Show what was changed in clients' settings since a switch wrote it; keys are masked.

    The exit code is 0 only if all of them could be read.
    """
    from mahavishnu.ai_env.status import look  # noqa: PLC0415
    from mahavishnu.cli.ai.drift_output import show_drift  # noqa: PLC0415
    from mahavishnu.environments.site import open_site  # noqa: PLC0415

    site = open_site(load_quietly())
    statuses = look(site, {}, site.journal.read())
    show_drift(statuses, as_json=as_json)
    sys.exit(max((each.problem.exit_code for each in statuses if each.problem), default=0))


@click.command()
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
@json_option
def history(limit: int, as_json: bool) -> None:
    """List switches, the latest first."""
    from mahavishnu.cli.ai.switch_output import show_history  # noqa: PLC0415
    from mahavishnu.environments.site import open_site  # noqa: PLC0415

    show_history(open_site(load_quietly()).journal.read(), limit, as_json=as_json)


@click.command()
@click.argument("id", required=False)
@click.option("--overwrite", is_flag=True, help="Discard manual changes there.")
@json_option
def undo(id: str | None, overwrite: bool, as_json: bool) -> None:
    """Take a switch back, by default the last one; other members stay as they are."""
    from mahavishnu.ai_env.undo import undo as take_back  # noqa: PLC0415
    from mahavishnu.cli.ai.switch_output import show_undo  # noqa: PLC0415
    from mahavishnu.environments.clients import require_trusted  # noqa: PLC0415
    from mahavishnu.environments.site import open_site  # noqa: PLC0415

    loaded = load_quietly()
    require_trusted(loaded)
    show_undo(take_back(open_site(loaded), id, overwrite=overwrite), as_json=as_json)
