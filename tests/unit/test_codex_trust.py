"""How Codex is asked for the digests of the guard: by a stand-in that notes what it was started with."""

from pathlib import Path

from mahavishnu.ai.bindings.hooks import find_guard
from mahavishnu.ai.clients.hooks import hooks_of
from tests.support.switching import install, site_in


def test_codex_is_asked_with_no_provider(tmp_path: Path) -> None:
    """It would ask the provider of its settings for models, with the user's key."""
    install(tmp_path, claude_code="{}", codex="# mine\n", qwen="{}")
    (tmp_path / "bin").mkdir()
    (tmp_path / "project").mkdir()
    program = tmp_path / "bin/codex"
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {tmp_path}/said\n")
    program.chmod(0o755)
    site = site_in(tmp_path, environ={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"})
    hooks_of("codex").trust(find_guard(site, "codex"))
    said = (tmp_path / "said").read_text().splitlines()
    assert 'model_provider="nobody"' in said and said[-1] == "app-server"
