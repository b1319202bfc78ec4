"""`mahavishnu ai secrets`: which keys there are, whether they are available, and how their stores are. Never a key."""

import sys
from typing import TYPE_CHECKING, Any

import click

from mahavishnu.ai_env.secrets.reference import PROVIDERS
from mahavishnu.cli.options import json_option, load
from mahavishnu.cli.render import local_time, print_json, print_line, print_table
from mahavishnu.errors import tell

if TYPE_CHECKING:
    from mahavishnu.ai_env.secrets.health import ComponentHealth
    from mahavishnu.ai_env.secrets.reading import ReadKey
    from mahavishnu.environments.keys import KeyReport, KeyTrial, KeyView


@click.group()
def secrets() -> None:
    """Keys of profiles: where they are, and whether they are available; never what they are."""


@secrets.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List which key each profile uses, and where it is; nothing is opened or asked."""
    from mahavishnu.environments.keys import view_keys  # noqa: PLC0415
    from mahavishnu.environments.site import open_site  # noqa: PLC0415 - after option errors

    loaded = load()
    views = view_keys(loaded, open_site(loaded))
    if as_json:
        print_json({"keys": [_whole(each) for each in views]})
        return
    print_table(
        ("profile", "key", "where", "state", "changed"),
        (
            (
                each.profile,
                each.reference or "",
                each.store,
                each.state,
                local_time(each.dated_at) if each.dated_at else "",
            )
            for each in views
        ),
    )


@secrets.command()
@json_option
def check(as_json: bool) -> None:
    """
    Ask for the key of every profile that is yours, shared or in use, and for every store's health.

    The exit code is 0 where all are available, and only then. A store may ask for a passphrase.
    """
    from mahavishnu.environments.keys import check_keys  # noqa: PLC0415
    from mahavishnu.environments.site import open_site  # noqa: PLC0415 - after option errors

    loaded = load()
    report = check_keys(loaded, open_site(loaded))
    if as_json:
        print_json({"ok": report.exit_code == 0, **_report(report)})
    else:
        _print_report(report)
    sys.exit(report.exit_code)


@secrets.command()
@click.argument("name")
@json_option
def test(name: str, as_json: bool) -> None:
    """Read the key of profile NAME, and tell from where, how old it is and how long that took."""
    from mahavishnu.environments.keys import try_key  # noqa: PLC0415
    from mahavishnu.environments.profiles import find_profile  # noqa: PLC0415
    from mahavishnu.environments.site import open_site  # noqa: PLC0415 - after option errors

    loaded = load()
    profile = find_profile(loaded, name)
    read = try_key(open_site(loaded), profile)
    if as_json:
        print_json({"profile": name, "reference": str(profile.key), **_read(read)})
        return
    print_line(f"{name}: the key is there, in {read.store}.")
    print_line(f"  {_told(read)}")


@secrets.command()
@click.argument("provider", type=click.Choice(list(PROVIDERS)))
@json_option
def explain(provider: str, as_json: bool) -> None:
    """Tell which of the stores of PROVIDER is asked first, and why. None is asked."""
    from mahavishnu.ai_env.secrets.resolve import open_clouds  # noqa: PLC0415 - slow
    from mahavishnu.environments.secret_settings import cloud_stores  # noqa: PLC0415

    loaded = load()
    with open_clouds(cloud_stores(loaded)) as clouds:
        ranked = clouds.explain(provider)
    if as_json:
        names = ("name", "selected", "score", "reasons")
        rows = [{name: getattr(each, name) for name in names} for each in ranked]
        print_json({"provider": provider, "stores": rows})
        return
    for number, each in enumerate(ranked, start=1):
        print_line(f"{number}. {provider}/{each.name}: {', '.join(each.reasons)}")


def _whole(view: "KeyView | ComponentHealth") -> dict[str, Any]:
    return {name: getattr(view, name) for name in view.__dataclass_fields__}


def _read(read: "ReadKey") -> dict[str, Any]:
    return {
        "store": read.store,
        "dated_at": read.dated_at,
        "took_s": round(read.took_s, 3),
        "length": read.length,
    }


def _report(report: "KeyReport") -> dict[str, Any]:
    from mahavishnu.operations.environments import lack_body  # noqa: PLC0415 - slow

    problem = report.declared_problem
    return {
        "keys": [_trial(each) for each in report.keys],
        "required": [str(each) for each in report.required],
        "required_problem": tell(problem) if problem else None,
        "stores": [_whole(each) for each in report.stores],
        "missing": [lack_body(each) for each in report.missing],
    }


def _trial(trial: "KeyTrial") -> dict[str, Any]:
    unread = dict.fromkeys(("store", "dated_at", "took_s", "length"))
    return {
        "profile": trial.profile,
        "reference": trial.reference,
        "resolves": trial.read is not None,
        **(_read(trial.read) if trial.read else unread),
        "problem": tell(trial.problem) if trial.problem else None,
    }


def _print_report(report: "KeyReport") -> None:
    from mahavishnu.cli.ai.client_output import tell_lacks  # noqa: PLC0415 - slow
    from mahavishnu.operations.environments import lack_body  # noqa: PLC0415

    for each in report.keys:
        if each.read is not None:
            print_line(f"{each.profile}: there, in {each.read.store}. {_told(each.read)}")
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


def _told(read: "ReadKey") -> str:
    """Return what is known beyond the place."""
    since = f"Of {local_time(read.dated_at)}. " if read.dated_at else ""
    odd = "" if read.length == "usual" else f" It is oddly {read.length} for a key."
    return f"{since}Read in {read.took_s:.2f} s.{odd}"
