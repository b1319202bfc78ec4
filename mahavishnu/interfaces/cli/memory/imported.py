"""What was imported, for people."""

from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.imports import Imported

MAX_NAMED = 5  # skipped files of one reason; --json names all


def show_imported(outcome: Imported) -> None:
    """Print what became of the files or commits of a source."""
    print_line(
        f"{outcome.project}: {outcome.stored} new, {outcome.changed} changed, "
        f"{outcome.removed} removed, {outcome.unchanged} unchanged"
    )
    for reason, count in outcome.skipped.items():
        paths = [file.path for file in outcome.skipped_files if file.reason == reason]
        more = f" and {len(paths) - MAX_NAMED} more" if len(paths) > MAX_NAMED else ""
        print_line(f"  skipped {count}: {reason} ({', '.join(paths[:MAX_NAMED])}{more})")
    if outcome.waiting:
        print_line(f"  {outcome.waiting} wait for vectors: mahavishnu memory embed")
