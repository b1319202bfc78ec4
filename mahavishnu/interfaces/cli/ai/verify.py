"""`mahavishnu ai verify`."""

import click

from mahavishnu.ai.switching.verify import TIMEOUT_S
from mahavishnu.interfaces.cli.ai.client_output import print_trial
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.site import Environments
from mahavishnu.operations.ai.verdicts import worst
from mahavishnu.operations.ai.verification import Verified, verify_profiles

_MAX_TIMEOUT_S = 300


def _show(body: Verified) -> None:
    for each in body.trials:
        print_trial(each)
    for note in body.notes:
        print_line(f"Note: {note}")


@click.command()
@click.argument("name", required=False)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, _MAX_TIMEOUT_S, min_open=True),
    default=TIMEOUT_S,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the provider.",
)
@answers(_show, code=lambda body: worst(body.trials))
def verify(name: str | None, timeout_s: float) -> Verified:
    """
    Send the provider of profile NAME one small request with its key, and report the result.

    Without NAME, do so for every profile with a key that a client uses now. The exit code is 0 where every address
    answers, and only then.
    """
    return verify_profiles(Environments(load()), name, timeout_s=timeout_s)
