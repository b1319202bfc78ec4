"""`mahavishnu ai secrets`: which keys there are, whether they are available, and how their stores are. Never a key."""

import sys
from datetime import datetime
from typing import Any

import click

from mahavishnu.ai.secrets.oneiric.answers import ComponentHealth
from mahavishnu.ai.secrets.reading import ReadKey
from mahavishnu.ai.secrets.reference import PROVIDERS
from mahavishnu.ai.secrets.resolve import open_clouds
from mahavishnu.base.errors import tell
from mahavishnu.interfaces.cli.ai.client_output import tell_lacks
from mahavishnu.interfaces.cli.options import answers, json_option, load
from mahavishnu.interfaces.cli.render import local_time, print_json, print_line, print_table
from mahavishnu.operations.ai.keys import (
    KeyReport,
    KeyTrial,
    KeyView,
    check_keys,
    try_key,
    view_keys,
)
from mahavishnu.operations.ai.profiles import find_profile
from mahavishnu.operations.ai.secret_settings import cloud_stores
from mahavishnu.operations.ai.site import open_site
from mahavishnu.operations.ai.state import lack_body

type Body = dict[str, Any]


@click.group()
def secrets() -> None:
    """Keys of profiles: where they are, and whether they are available; never what they are."""


def _show_keys(body: Body) -> None:
    rows = (
        (key["profile"], key["reference"] or "", key["store"], key["state"], _day(key["dated_at"]))
        for key in body["keys"]
    )
    print_table(("profile", "key", "where", "state", "changed"), rows)


@secrets.command("list")
@answers(_show_keys)
def list_() -> Body:
    """List which key each profile uses, and where it is; nothing is opened or asked."""
    loaded = load()
    return {"keys": [_whole(each) for each in view_keys(loaded, open_site(loaded))]}


def _day(moment: datetime | None) -> str:
    return local_time(moment) if moment else ""


@secrets.command()
@json_option
def check(as_json: bool) -> None:
    """
    Ask for the key of every profile that is yours, shared or in use, and for every store's health.

    The exit code is 0 where all are available, and only then. A store may ask for a passphrase.
    """

    loaded = load()
    report = check_keys(loaded, open_site(loaded))
    if as_json:
        print_json({"ok": report.exit_code == 0, **_report(report)})
    else:
        _print_report(report)
    sys.exit(report.exit_code)


def _show_key(body: Body) -> None:
    print_line(f"{body['profile']}: the key is there, in {body['store']}.")
    print_line(f"  {_told(body)}")


@secrets.command()
@click.argument("name")
@answers(_show_key)
def test(name: str) -> Body:
    """Read the key of profile NAME, and tell from where, how old it is and how long that took."""
    loaded = load()
    profile = find_profile(loaded, name)
    read = try_key(open_site(loaded), profile)
    return {"profile": name, "reference": str(profile.key), **_read(read)}


def _show_stores(body: Body) -> None:
    for number, each in enumerate(body["stores"], start=1):
        print_line(f"{number}. {body['provider']}/{each['name']}: {', '.join(each['reasons'])}")


@secrets.command()
@click.argument("provider", type=click.Choice(list(PROVIDERS)))
@answers(_show_stores)
def explain(provider: str) -> Body:
    """Tell which of the stores of PROVIDER is asked first, and why. None is asked."""
    loaded = load()
    with open_clouds(cloud_stores(loaded)) as clouds:
        ranked = clouds.explain(provider)
    names = ("name", "selected", "score", "reasons")
    rows = [{name: getattr(each, name) for name in names} for each in ranked]
    return {"provider": provider, "stores": rows}


def _whole(view: KeyView | ComponentHealth) -> dict[str, Any]:
    return {name: getattr(view, name) for name in view.__dataclass_fields__}


def _read(read: ReadKey) -> dict[str, Any]:
    return {
        "store": read.store,
        "dated_at": read.dated_at,
        "took_s": round(read.took_s, 3),
        "length": read.length,
    }


def _report(report: KeyReport) -> dict[str, Any]:

    problem = report.declared_problem
    return {
        "keys": [_trial(each) for each in report.keys],
        "required": [str(each) for each in report.required],
        "required_problem": tell(problem) if problem else None,
        "stores": [_whole(each) for each in report.stores],
        "missing": [lack_body(each) for each in report.missing],
    }


def _trial(trial: KeyTrial) -> dict[str, Any]:
    unread = dict.fromkeys(("store", "dated_at", "took_s", "length"))
    return {
        "profile": trial.profile,
        "reference": trial.reference,
        "resolves": trial.read is not None,
        **(_read(trial.read) if trial.read else unread),
        "problem": tell(trial.problem) if trial.problem else None,
    }


def _print_report(report: KeyReport) -> None:

    for each in report.keys:
        if each.read is not None:
            print_line(f"{each.profile}: there, in {each.read.store}. {_told(_read(each.read))}")
        elif each.problem is not None:
            hint = f" {each.problem.hint}" if each.problem.hint else ""
            print_line(f"{each.profile}: {each.problem.message}{hint} [{each.problem.code}]")
    for reference in report.required:
        print_line(f"Required by the settings, and missing: {reference}")
    if report.declared_problem:
        print_line(report.declared_problem.message)
    for store in report.stores:
        took = f", {store.latency_ms:.0f} ms" if store.latency_ms is not None else ""
        why = f". {store.message}" if store.message else ""
        print_line(f"{store.name}: {store.status}{took}{why}")
    tell_lacks([lack_body(each) for each in report.missing])
    if not (report.keys or report.required or report.stores or report.missing):
        print_line("No profile with a key is yours, shared or in use.")


def _told(read: Body) -> str:
    """Return what is known beyond the place."""
    since = f"Of {_day(read['dated_at'])}. " if read["dated_at"] else ""
    odd = "" if read["length"] == "usual" else f" It is oddly {read['length']} for a key."
    return f"{since}Read in {read['took_s']:.2f} s.{odd}"
