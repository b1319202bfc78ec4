"""It tells the command for keys nothing of its address, and no more is asked of it."""

from collections.abc import Mapping
from pathlib import Path

from mahavishnu.ai.clients.key_command import Asked


def require_settings(asked: Asked, *, folder: Path, environ: Mapping[str, str]) -> None:
    pass
