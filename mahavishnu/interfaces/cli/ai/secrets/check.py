"""`mahavishnu ai secrets check`."""

import click

from mahavishnu.interfaces.cli.ai.client_output import tell_missing
from mahavishnu.interfaces.cli.ai.secrets.reading import tell_read
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.keys import KeyReport, check_keys


def _show(report: KeyReport) -> None:
    for each in report.keys:
        if each.problem is None:
            print_line(f"{each.profile}: there, in {each.store}. {tell_read(each)}")
        else:
            hint = f" {each.problem.hint}" if each.problem.hint else ""
            print_line(f"{each.profile}: {each.problem.message}{hint} [{each.problem.code}]")
    for reference in report.required:
        print_line(f"Required by the settings, and missing: {reference}")
    if report.required_problem:
        print_line(report.required_problem.message)
    for store in report.stores:
        took = f", {store.latency_ms:.0f} ms" if store.latency_ms is not None else ""
        why = f". {store.message}" if store.message else ""
        print_line(f"{store.name}: {store.status}{took}{why}")
    tell_missing(report.missing)
    if not (report.keys or report.required or report.stores or report.missing):
        print_line("No profile with a key is yours, shared or in use.")


@click.command()
@answers(_show)
def check() -> tuple[KeyReport, int]:
    """
    Ask for the key of every profile that is yours, shared or in use, and for every store's health.

    The exit code is 0 where all are available, and only then. A store may ask for a passphrase.
    """
    return check_keys(load())
