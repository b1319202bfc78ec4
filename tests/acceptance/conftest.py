"""A home for the installed command, shared by the whole run so that one server serves all."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.command import Command
from tests.support.daemon import layout


@pytest.fixture(scope="session")
def mahavishnu(tmp_path_factory: pytest.TempPathFactory, place: Callable[[Path], None]) -> Command:
    """The command in a home that all tests share; no embedder is there."""
    environment = {"MAHAVISHNU_EMBEDDING_PROVIDER": "none"}
    shared = Command(tmp_path_factory.mktemp("shared"), environment)
    place(layout(shared).folder)
    return shared


@pytest.fixture
def project() -> str:
    """A project name that no other test uses."""
    return f"project-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def alone(tmp_path: Path) -> Command:
    """The command in an empty home, without an embedder."""
    home = tmp_path / "home"
    home.mkdir()
    return Command(home, {"MAHAVISHNU_EMBEDDING_PROVIDER": "none"})


@pytest.fixture
def settled(alone: Command, place: Callable[[Path], None]) -> Command:
    """The command in a home of this test's own whose database was made before."""
    place(layout(alone).folder)
    return alone


@pytest.fixture
def another(settled: Command, tmp_path: Path, place: Callable[[Path], None]) -> Command:
    """A second home of the same user, its database made too."""
    home = tmp_path / "another"
    home.mkdir()
    second = replace(settled, home=home)
    place(layout(second).folder)
    return second
