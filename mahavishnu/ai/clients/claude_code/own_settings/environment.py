"""Variables that Claude Code gives its sessions: those that a profile owns are not set here."""

import re
from collections.abc import Iterable, Mapping

from mahavishnu.ai.clients.claude_code.settings import RESERVED_ENV
from mahavishnu.ai.foreign_files.documents import Document, Value
from mahavishnu.ai.foreign_files.merge import Change, Remove, Set
from mahavishnu.base.errors import Forbidden, UsageError

PATH = ("env",)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def read_variables(document: Document) -> dict[str, Value]:
    """Return what is set, unchanged; nothing where `env` is no object."""
    found = document.get(PATH)
    return found if isinstance(found, dict) else {}


def set_variables(_: Document, values: Mapping[str, str]) -> list[Change]:
    """Return the changes that give each variable its value, always a text."""
    for name in values:
        require_free(name)
    return [Set((*PATH, name), value) for name, value in values.items()]


def unset_variables(document: Document, names: Iterable[str]) -> list[Change]:
    """Return the changes after which none of these is set."""
    for name in names:
        require_free(name)
    there = read_variables(document)
    return [Remove((*PATH, name), made=PATH) for name in names if name in there]


def require_free(name: str) -> None:
    """
    Refuse what is no name of a variable, or belongs to the provider.

    Raises:
        UsageError: `claude_settings.variable_name`.
        Forbidden: `claude_settings.owned_variable`.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            "The name of a variable has letters, digits and _ alone, and no digit first.",
            hint="Write NAME=VALUE.",
            code="claude_settings.variable_name",
        )
    if name in RESERVED_ENV:
        raise Forbidden(
            f"{name} belongs to the provider that Claude Code uses, and changes with it.",
            hint="Change the profile: mahavishnu ai profile edit NAME; or use another:"
            " mahavishnu ai switch-llm NAME",
            code="claude_settings.owned_variable",
        )
