"""`mahavishnu doctor`: check everything, explain, and fix what is safe to fix."""

import os
import sys

import click

from mahavishnu.doctor.findings import Finding
from mahavishnu.doctor.run import Report, examine
from mahavishnu.interfaces.cli.options import answers
from mahavishnu.interfaces.cli.render import print_line

EXIT_ERRORS = 1
_SIGNS = {"ok": "+", "info": "i", "warning": "!", "error": "x", "skipped": "-"}


def _announce(name: str) -> None:
    sys.stderr.write(f"Mending: {name}\n")


def _print(report: Report) -> None:
    for mended in report.mended:
        print_line(f"{'mended' if mended.done else 'not mended'} {mended.name}: {mended.summary}")
    if report.mended:
        print_line("")
    for finding in report.findings:
        _print_finding(finding)
    counts = [
        f"{sum(finding.status == status for finding in report.findings)} {status}"
        for status in _SIGNS
    ]
    print_line(f"\n{', '.join(counts)}")
    if any(finding.fixable for finding in report.findings) and not report.mended:
        print_line("What is marked [fix] is fixed by: mahavishnu doctor --fix")


def _print_finding(finding: Finding) -> None:
    mark = " [fix]" if finding.fixable else ""
    sign = _SIGNS[finding.status]
    print_line(f"{sign} {finding.status:<7} {finding.name:<14} {finding.summary}{mark}")
    if finding.hint and finding.status != "ok":
        for line in finding.hint.splitlines():
            print_line(f"{'':<25}{line}")


@click.command()
@click.option("--fix", is_flag=True, help="Fix what is safe to fix, then check again.")
@click.option("--no-database", is_flag=True, help="Do not open the database, nor start its server.")
@answers(_print, code=lambda report: EXIT_ERRORS if report.status == "error" else 0)
async def doctor(fix: bool, no_database: bool) -> Report:
    """
    Check everything Mahavishnu needs, and name what fixes each problem.

    The exit code is 1 where something is an error, else 0. Without --fix nothing is changed. --fix
    takes others' rights from our own folders and settings files, replaces an exposed or damaged
    token, empties the record of a daemon that is gone, and embeds the memories that wait.
    """
    return await examine(
        environ=os.environ,
        flags=click.get_current_context().find_root().obj or {},
        with_database=not no_database,
        fix=fix,
        announce=_announce,
    )
