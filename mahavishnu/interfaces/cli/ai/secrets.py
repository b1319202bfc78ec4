"""`mahavishnu ai secrets`: which keys there are, whether they are available, and how their stores are. Never a key."""

from datetime import datetime

import click

from mahavishnu.ai.secrets.reference import PROVIDERS
from mahavishnu.interfaces.cli.ai.client_output import tell_lacks
from mahavishnu.interfaces.cli.options import answers, load
from mahavishnu.interfaces.cli.render import local_time, print_line, print_table
from mahavishnu.operations.ai import keys
from mahavishnu.operations.ai.keys import KeyReport, Keys, KeyTest, KeyTrial, RankedStores


@click.group()
def secrets() -> None:
    """Keys of profiles: where they are, and whether they are available; never what they are."""


def _show_keys(body: Keys) -> None:
    rows = (
        (key.profile, key.reference or "", key.store, key.state, _day(key.dated_at))
        for key in body.keys
    )
    print_table(("profile", "key", "where", "state", "changed"), rows)


@secrets.command("list")
@answers(_show_keys)
def list_() -> Keys:
    """List which key each profile uses, and where it is; nothing is opened or asked."""
    return keys.list_keys(load())


def _day(moment: datetime | None) -> str:
    return local_time(moment) if moment else ""


def _show_report(report: KeyReport) -> None:
    for each in report.keys:
        if each.problem is None:
            print_line(f"{each.profile}: there, in {each.store}. {_told(each)}")
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
    tell_lacks(report.missing)
    if not (report.keys or report.required or report.stores or report.missing):
        print_line("No profile with a key is yours, shared or in use.")


@secrets.command()
@answers(_show_report)
def check() -> tuple[KeyReport, int]:
    """
    Ask for the key of every profile that is yours, shared or in use, and for every store's health.

    The exit code is 0 where all are available, and only then. A store may ask for a passphrase.
    """
    return keys.check_keys(load())


def _show_key(body: KeyTest) -> None:
    print_line(f"{body.profile}: the key is there, in {body.store}.")
    print_line(f"  {_told(body)}")


@secrets.command()
@click.argument("name")
@answers(_show_key)
def test(name: str) -> KeyTest:
    """Read the key of profile NAME, and tell from where, how old it is and how long that took."""
    return keys.try_key(load(), name)


def _show_stores(body: RankedStores) -> None:
    for number, each in enumerate(body.stores, start=1):
        print_line(f"{number}. {body.provider}/{each.name}: {', '.join(each.reasons)}")


@secrets.command()
@click.argument("provider", type=click.Choice(list(PROVIDERS)))
@answers(_show_stores)
def explain(provider: str) -> RankedStores:
    """Tell which of the stores of PROVIDER is asked first, and why. None is asked."""
    return keys.explain_stores(load(), provider)


def _told(read: KeyTest | KeyTrial) -> str:
    """Return what is known beyond the place."""
    since = f"Of {_day(read.dated_at)}. " if read.dated_at else ""
    odd = "" if read.length == "usual" else f" It is oddly {read.length} for a key."
    return f"{since}Read in {read.took_s:.2f} s.{odd}"
