"""
What the user wants of failover: one word in a file of ours, which switches and restarts leave as it is.

off: nothing is switched by itself; pinned: failures are events, and nothing is switched; on: it is.
"""

from pathlib import Path
from typing import Literal, get_args

from mahavishnu.base.files import write_atomically
from mahavishnu.base.paths import private_folder

type Intent = Literal["on", "off", "pinned"]
INTENTS: tuple[Intent, ...] = get_args(Intent.__value__)


def intent_in(state: Path) -> Path:
    """Return where the file is, below the folder of our state."""
    return state / "ai" / "auto"


def read_intent(path: Path) -> Intent:
    """Return the user's word; off where there is none, or another."""
    try:
        said = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return "off"
    return next((each for each in INTENTS if each == said), "off")


def write_intent(path: Path, intent: Intent) -> None:
    """Keep the user's word."""
    private_folder(path.parent)
    write_atomically(path, f"{intent}\n".encode())
