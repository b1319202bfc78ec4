"""What the commands share that do something to services."""

from mahavishnu.base.errors import Unavailable
from mahavishnu.interfaces.cli.render import print_line, print_table
from mahavishnu.operations.service_bodies import ServiceFile, ServiceResults


def show_results(body: ServiceResults) -> None:
    """Print what became of each service."""
    print_table(
        ("name", "outcome", "before", "after", "reason"),
        ((e.name, e.outcome, e.before, e.after, e.reason) for e in body.services),
        empty="There is no service to do that to.",
    )


def exit_code(body: ServiceResults) -> int:
    """Return the exit code: that of what cannot be had now, where something did not work."""
    failed = any(each.outcome in ("failed", "rolled_back") for each in body.services)
    return Unavailable.exit_code if failed else 0


def show_file(body: ServiceFile) -> None:
    """Print which file was written."""
    print_line(f"{body.name}: {body.path}")
    print_line(body.note)
