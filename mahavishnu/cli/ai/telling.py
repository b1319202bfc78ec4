"""What several commands about switches say in the same words."""

import sys

from mahavishnu.ai_env.documents import Absent, Value
from mahavishnu.ai_env.documents.port import show_path
from mahavishnu.ai_env.journal import Entry, value_of
from mahavishnu.ai_env.redaction import shown_record
from mahavishnu.cli.render import print_line, printable
from mahavishnu.environments.profiles import read_own
from mahavishnu.settings.sources import Loaded

UNCHANGED = "Nothing was changed since."


def tell_profiles(loaded: Loaded, *, listed: bool = False) -> None:
    """Tell on stderr which profiles of the user's own are not what they say or, unless listed, cannot be used."""
    own = read_own(loaded)
    for note in own.notes if listed else own.told:
        sys.stderr.write(f"Note: {printable(note)}\n")


def said(value: Value | Absent) -> str:
    """Return a value for people."""
    import json  # noqa: PLC0415 - for people only

    if value is None or isinstance(value, Absent):
        return "nothing"
    return json.dumps(value, ensure_ascii=False)


def tell_given_up(entry: Entry) -> None:
    """Print what an undo took away that had been adopted, as nothing else keeps it."""
    for file in entry.files:
        for record in file.records:
            path = show_path(record.path)
            before, after = (
                shown_record(value_of(record.before)),
                shown_record(value_of(record.after)),
            )
            if record.kind in ("include", "exclude"):
                sign = "+" if record.kind == "include" else "-"
                print_line(f"  {path}: {sign} {said(shown_record(record.element))}")
            else:
                print_line(f"  {path}: {said(before)} -> {said(after)}")
