"""
The user's profiles in files of ours, one each: `config/profiles/NAME.yaml`, 0600, references only.

They are read like settings, by whoever reads those.
"""

from collections.abc import Mapping
from pathlib import Path

from mahavishnu.ai.foreign_files.files import told
from mahavishnu.ai.profiles.profile import ProfileEntry, check_name
from mahavishnu.base.files import sync_folder, write_atomically
from mahavishnu.base.paths import Locations, private_folder

SUFFIX = ".yaml"


def folder_of(locations: Locations) -> Path:
    """Return the folder of all files of profiles."""
    return locations.config / "profiles"


def find_files(folder: Path) -> Mapping[str, Path]:
    """Return the files that are there by the name of their profile, which `read_profile` checks."""
    with told(folder):
        return {path.stem: path for path in sorted(folder.glob(f"[!.]*{SUFFIX}"))}


def path_of(folder: Path, name: str) -> Path:
    """Return where the file of a profile is, or would be."""
    return folder / f"{check_name(name)}{SUFFIX}"


def write_file(folder: Path, name: str, entry: ProfileEntry) -> Path:
    """Write what an entry says, which was checked before, and return where."""
    path = path_of(folder, name)
    with told(path):
        private_folder(folder)
        write_atomically(path, render(values_of(entry)))
    return path


def remove_file(path: Path) -> None:
    """Take a file of a profile away."""
    with told(path):
        path.unlink()
        sync_folder(path.parent)


def values_of(entry: ProfileEntry) -> dict[str, object]:
    """Return what an entry says as plain values for a file."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in entry.said().items()
    }


def render(values: Mapping[str, object]) -> bytes:
    """Return plain values as YAML, in their order."""
    import yaml  # noqa: PLC0415 - only what writes needs it

    return yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True).encode()
