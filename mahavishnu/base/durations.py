"""Durations in words."""

from datetime import timedelta

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def read_duration(text: str) -> timedelta:
    """Return the duration of a number with its unit: "30m", "12h", "90d", "2w"."""
    return timedelta(**{UNITS[text[-1]]: int(text[:-1])})


def spell_duration(took: timedelta) -> str:
    """Return a duration as people say it: "0.25 s", "12 s", "5 min 3 s", "2 h 5 min", "3 d 1 h"."""
    seconds = took.total_seconds()
    if seconds < 10:
        return f"{round(seconds, 2):g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
