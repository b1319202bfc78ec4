"""Which plugins Claude Code uses; what is installed is its own affair."""

import re

from mahavishnu.ai.foreign_files.documents import Document, Value
from mahavishnu.ai.foreign_files.merge import Change, Set
from mahavishnu.base.errors import UsageError

PATH = ("enabledPlugins",)
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*@[A-Za-z0-9][\w.-]*")


def read_plugins(document: Document) -> dict[str, Value]:
    """Return what the file says of each; only true turns one on."""
    found = document.get(PATH)
    return found if isinstance(found, dict) else {}


def turn_plugin(_: Document, name: str, *, on: bool) -> list[Change]:
    """Return the change that turns a plugin on or off; off is written, since another file may say on."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name[:80]!r} does not name a plugin.",
            hint="Write NAME@MARKETPLACE, as in formatter@team-tools.",
            code="claude_settings.plugin_name",
        )
    return [Set((*PATH, name), on)]
