"""What a file of `mahavishnu ai profile export` holds, of either form."""

from collections.abc import Mapping
from pathlib import Path

from mahavishnu.errors import NotFound
from mahavishnu.settings.files import read_settings

SECTIONS = ("ai_environments.llm_profiles.", "profiles.")


def read_export(file: Path) -> dict[str, dict[str, object]]:
    """
    Return what an export says of each profile, by name, unchecked.

    Raises:
        NotFound: `ai.import_no_file`, `ai.import_nothing`; else as `read_settings`.
    """
    if not file.exists():
        raise NotFound(
            f"There is no file {file}.",
            hint="Name an export, or a program with --from.",
            code="ai.import_no_file",
        )
    values = exported_values(read_settings(file))
    if not values:
        raise NotFound(
            f"{file} holds no profiles.",
            hint="Write one with: mahavishnu ai profile export",
            code="ai.import_nothing",
        )
    return values


def exported_values(settings: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """Return the profiles among the values of a file; other settings are passed over."""
    values: dict[str, dict[str, object]] = {}
    for key, value in settings.items():
        section = next((each for each in SECTIONS if key.startswith(each)), None)
        if section:
            name, _, item = key.removeprefix(section).partition(".")
            values.setdefault(name, {})[item] = value
    return values
