"""What is known of a key that was read, for people."""

from datetime import datetime

from mahavishnu.interfaces.cli.render import local_time
from mahavishnu.operations.ai.keys import KeyTest, KeyTrial


def day_of(moment: datetime | None) -> str:
    """Return the day and time, if any."""
    return local_time(moment) if moment else ""


def tell_read(read: KeyTest | KeyTrial) -> str:
    """Return what is known beyond the place."""
    since = f"Of {day_of(read.dated_at)}. " if read.dated_at else ""
    odd = "" if read.length == "usual" else f" It is oddly {read.length} for a key."
    return f"{since}Read in {read.took_s:.2f} s.{odd}"
