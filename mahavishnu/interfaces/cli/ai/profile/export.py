"""`mahavishnu ai profile export`."""

import click

from mahavishnu.ai.profiles.profile_files import render
from mahavishnu.interfaces.cli.ai.switch_messages import tell_profiles
from mahavishnu.interfaces.cli.options import answers, load_quietly
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.profile_changes import ExportedProfiles, export_profiles


def _show(body: ExportedProfiles) -> None:
    if said := body.profiles:
        print_line(render({"ai_environments": {"llm_profiles": said}}).decode().rstrip("\n"))


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@answers(_show)
def export(names: tuple[str, ...]) -> ExportedProfiles:
    """
    Print profiles as settings: your own, or those named. They hold references, no keys.

    The text can go into a mahavishnu.yaml, and `mahavishnu ai profile import FILE` reads it.
    """
    loaded = load_quietly()
    tell_profiles(loaded)
    return export_profiles(loaded, names)
