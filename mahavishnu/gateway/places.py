"""Where the gateway listens, and keeps what it knows below the folder of our state."""

from pathlib import Path

HOST = "127.0.0.1"
HEALTH = "/health"
PARTING_S = 4.0  # seconds for the last words to who is slow to take them, beyond the time of `drain_timeout`


def folder_in(state: Path) -> Path:
    """Return the folder of the gateway's files."""
    return state / "gateway"


def breakers_in(state: Path) -> Path:
    """Return where the state of the breakers is."""
    return folder_in(state) / "breakers.json"
