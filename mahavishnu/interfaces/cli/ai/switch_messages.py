"""What several commands about switches share: notes, and the same words."""

import json
import sys
from collections.abc import Iterable

from mahavishnu.base.settings.sources import Loaded
from mahavishnu.interfaces.cli.render import print_line, printable
from mahavishnu.operations.ai.profiles import read_own
from mahavishnu.operations.ai.results import MemberBody

UNCHANGED = "Nothing was changed since."


def tell_profiles(loaded: Loaded, *, listed: bool = False) -> None:
    """Tell on stderr which profiles of the user's own are not what they say or, unless listed, cannot be used."""
    own = read_own(loaded)
    for note in own.notes if listed else own.told:
        tell_note(note)


def tell_note(text: str) -> None:
    """Tell on stderr what the user should know beside the result."""
    sys.stderr.write(f"Note: {printable(text)}\n")


def said(value: object) -> str:
    """Return a value of a settings file for people."""
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)


def print_members(members: Iterable[MemberBody]) -> None:
    """Print members of a settings file before and after."""
    for each in members:
        print_line(f"  {'.'.join(each.path)}: {said(each.before)} -> {said(each.after)}")


def show_path(path: Iterable[str]) -> str:
    """Return the path of a member, in short."""
    return ".".join(path)[:200]
