"""Where clients keep their settings, whether they are there, and which project is meant."""

from pathlib import Path

import pytest

from mahavishnu.ai.clients.claude_code.settings import PROJECT_FILE
from mahavishnu.ai.clients.places import find_place, require_there
from mahavishnu.ai.clients.project import find_project
from mahavishnu.base.errors import NotFound, UsageError


def test_clients_are_looked_for_in_their_homes_and_where_variables_say(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "PATH": ""}
    assert find_place("claude-code", environ).settings == tmp_path / ".claude/settings.json"
    assert find_place("codex", environ).settings == tmp_path / ".codex/config.toml"
    assert find_place("qwen", environ).settings == tmp_path / ".qwen/settings.json"
    moved = {**environ, "CLAUDE_CONFIG_DIR": "/c", "CODEX_HOME": "/x"}
    assert find_place("claude-code", moved).settings == Path("/c/settings.json")
    assert find_place("codex", moved).settings == Path("/x/config.toml")
    for said, folder in (("/q", Path("/q")), ("~/q", tmp_path / "q"), ("~", tmp_path)):
        assert find_place("qwen", {**environ, "QWEN_HOME": said}).folder == folder
    chosen = find_place("codex", moved, Path("/mine/here.toml"))
    assert (chosen.settings, chosen.folder) == (Path("/mine/here.toml"), Path("/mine"))


def test_a_client_is_there_by_its_folder_or_its_program(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "PATH": f".:{tmp_path}/bin"}
    place = find_place("qwen", environ)
    with pytest.raises(NotFound) as caught:
        require_there(place)
    assert caught.value.code == "ai.client_missing" and str(place.folder) in caught.value.message
    place.folder.mkdir()
    require_there(place)
    place.folder.rmdir()
    program = tmp_path / "bin" / "qwen"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert find_place("qwen", environ).program == program


def test_a_program_of_the_working_folder_is_not_the_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "claude"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    for path in (".", "", ":", ".:", "::/nowhere"):
        assert find_place("claude-code", {"HOME": "/none", "PATH": path}).program is None


@pytest.mark.parametrize("home", [None, "", "relative"])
def test_without_a_home_nothing_is_guessed(home: str | None) -> None:
    environ = {} if home is None else {"HOME": home}
    with pytest.raises(NotFound) as caught:
        find_place("codex", environ)
    assert caught.value.code == "ai.no_home"


def test_a_project_is_the_nearest_folder_with_settings_up_to_the_repository(tmp_path: Path) -> None:
    home, root = tmp_path / "home", tmp_path / "home" / "repository"
    deep = root / "a" / "b"
    deep.mkdir(parents=True)
    (home / ".claude").mkdir()
    environ = {"HOME": str(home)}
    assert find_project(deep, environ, PROJECT_FILE) == deep  # no repository yet
    (root / ".git").mkdir()
    assert find_project(deep, environ, PROJECT_FILE) == root
    (root / "a" / ".claude").mkdir()
    assert find_project(deep, environ, PROJECT_FILE) == root / "a"
    assert find_project(root, environ, PROJECT_FILE) == root


def test_the_home_is_no_project_even_as_a_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    below = tmp_path / "below"
    below.mkdir()
    environ = {"HOME": str(tmp_path)}
    with pytest.raises(UsageError) as caught:
        find_project(tmp_path, environ, PROJECT_FILE)
    assert caught.value.code == "ai.no_project"
    assert find_project(below, environ, PROJECT_FILE) == below
