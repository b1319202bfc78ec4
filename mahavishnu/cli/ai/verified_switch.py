"""What follows a switch: the provider is asked once where that is wanted, and undo is offered."""

import sys
from collections.abc import Sequence
from dataclasses import replace

import click

from mahavishnu.ai_env.apply import Switched
from mahavishnu.ai_env.site import Site
from mahavishnu.ai_env.undo import undo
from mahavishnu.ai_env.verify import Trial
from mahavishnu.cli.ai.switch_output import show_undo
from mahavishnu.cli.ai.verify import print_trial, try_profile, worst
from mahavishnu.settings.sources import Loaded


def try_switch(loaded: Loaded, done: Switched) -> list[Trial]:
    """Ask the provider once by each protocol that a client was given; a sign-in cannot be tried."""
    profile = done.plan.profile
    used = {file.delivery.protocol for file in done.plan.files}
    endpoints = {name: url for name, url in profile.endpoints.items() if name in used}
    return try_profile(loaded, replace(profile, endpoints=endpoints))


def judge(site: Site, done: Switched, trials: Sequence[Trial], *, as_json: bool) -> int:
    """Print what came of it, and offer undo where it failed; returns the exit code of the command."""
    if done.plan.profile.auth == "native":
        return 0
    if not as_json:
        for each in trials:
            print_trial(each)
    code = worst(list(trials))
    if code and done.entry is not None and not as_json and sys.stdin.isatty():
        click.echo("The switch is made, and its provider does not answer as it should.", err=True)
        if click.confirm("Take it back?", err=True):
            show_undo(undo(site, str(done.entry.id)), as_json=False)
    return code
