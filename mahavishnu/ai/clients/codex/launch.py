"""Codex on a profile for one session: by overrides of its settings."""

from collections.abc import Sequence

from mahavishnu.ai.clients.codex.settings import (
    CHOSEN,
    MODEL,
    OWN_PROVIDER,
    PROVIDER,
    RUN_ID,
    CodexSettings,
)
from mahavishnu.ai.clients.launch import CheckProject, LaunchOptions, Start
from mahavishnu.ai.clients.settings import Known
from mahavishnu.ai.foreign_files.documents import Value
from mahavishnu.ai.foreign_files.documents.toml_document import TomlDocument
from mahavishnu.ai.foreign_files.documents.toml_values import render, render_key
from mahavishnu.ai.foreign_files.merge import Set

check_project: CheckProject | None = None


def find_options(start: Start) -> LaunchOptions:
    """Return overrides for a provider of this session's own."""
    delivery = start.delivery
    if delivery.mode == "native":
        model = [(MODEL, delivery.model)] if delivery.model else []
        return _overrides([(CHOSEN, OWN_PROVIDER), *model])
    found = CodexSettings().changes(TomlDocument.parse(b""), delivery, Known())
    said = {each.path: each.value for each in found if isinstance(each, Set)}
    provider = said.pop(PROVIDER)
    said[CHOSEN] = RUN_ID
    return _overrides([*said.items(), ((*PROVIDER[:-1], RUN_ID), provider)])


def _overrides(said: Sequence[tuple[tuple[str, ...], Value]]) -> LaunchOptions:
    return LaunchOptions(
        tuple(
            word for path, value in said for word in ("-c", f"{render_key(path)}={render(value)}")
        )
    )
