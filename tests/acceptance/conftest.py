"""A home for the installed command, shared by the whole run so that one server serves all."""

import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from tests.command import UNMEASURED, Command


@pytest.fixture(scope="session")
def mahavishnu(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The command in a home that all tests share; no embedder is there."""
    return Command(tmp_path_factory.mktemp("shared"), {"MAHAVISHNU_EMBEDDING_PROVIDER": "none"})


@pytest.fixture
def project() -> str:
    """A project name that no other test uses."""
    return f"project-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def alone(tmp_path: Path) -> Command:
    """The command in a home of this test's own, without an embedder; its coverage is not measured."""
    home = tmp_path / "home"
    home.mkdir()
    return Command(home, {"MAHAVISHNU_EMBEDDING_PROVIDER": "none", **UNMEASURED})


@pytest.fixture
def another(alone: Command, tmp_path: Path) -> Command:
    """A second home of the same user."""
    home = tmp_path / "another"
    home.mkdir()
    return replace(alone, home=home)
