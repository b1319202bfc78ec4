"""A home with AI clients in it, profiles for them, and what a switch does there."""

import json
import tomllib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.ai.clients.table import ClientName
from mahavishnu.ai.foreign_files.files import Patience
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.secrets.reference import parse_reference
from mahavishnu.ai.switching.site import Site as Site
from mahavishnu.ai.switching.switch import Switched, SwitchOptions, switch
from mahavishnu.base.errors import MahavishnuError

AT_ONCE = Patience(
    lock=timedelta(seconds=5), torn=timedelta(0), quiet=timedelta(0), settle=timedelta(0)
)
FILES: dict[ClientName, str] = {
    "claude-code": ".claude/settings.json",
    "codex": ".codex/config.toml",
    "qwen": ".qwen/settings.json",
}
ONE = Profile(
    name="one",
    endpoints={
        "anthropic": "https://one.example/anthropic",
        "openai-responses": "https://one.example/v1",
        "openai-chat": "https://one.example/v1",
    },
    key=parse_reference("env:ONE_KEY"),
    model="one-large",
    small_model="one-small",
    timeout_ms=30_000,
)
TWO = replace(
    ONE,
    name="two",
    endpoints={protocol: url.replace("one", "two") for protocol, url in ONE.endpoints.items()},
    key=parse_reference("env:TWO_KEY"),
    model="two-large",
    small_model=None,
    timeout_ms=None,
)
CLAUDE = Profile(name="claude", auth="native", endpoints={"anthropic": "https://api.anthropic.com"})
CODEX = Profile(
    name="codex", auth="native", endpoints={"openai-responses": "https://api.openai.com/v1"}
)
KEYS = {"ONE_KEY": "sk-canary-of-one-0001", "TWO_KEY": "sk-canary-of-two-0002"}


def site_in(home: Path, *, environ: dict[str, str] | None = None) -> Site:
    """Return a site below `home`, where waiting takes no time."""
    return Site(
        environ={"HOME": str(home), "PATH": "", **KEYS, **(environ or {})},
        state=home / "state",
        folder=home / "project",
        helper=Path("/opt/bin/mahavishnu-key"),
        identity=home / "age",
        patience=AT_ONCE,
        pause=lambda _: None,
    )


def install(home: Path, **contents: str) -> dict[ClientName, Path]:
    """Put clients into a home: their folders, and the files that are given, by `claude_code` and so on."""
    paths: dict[ClientName, Path] = {}
    for name, relative in FILES.items():
        path = home / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        text = contents.get(name.replace("-", "_"))
        if text is not None:
            path.write_text(text)
        paths[name] = path
    return paths


def switch_to(site: Site, profile: Profile, *clients: ClientName, **wishes: Any) -> Switched:
    """Switch the named clients, or all."""
    return switch(site, profile, SwitchOptions(clients=clients, **wishes))


def values(path: Path) -> dict[str, Any]:
    """Return what a client reads."""
    if not path.exists():
        return {}
    read: Callable[[str], Any] = tomllib.loads if path.suffix == ".toml" else json.loads
    found: dict[str, Any] = read(
        path.read_text() or "{}" if path.suffix == ".json" else path.read_text()
    )
    return found


def refused(site: Site, profile: Profile, *clients: ClientName, **wishes: Any) -> MahavishnuError:
    """Return the error that a switch ends with."""
    with pytest.raises(MahavishnuError) as caught:
        switch_to(site, profile, *clients, **wishes)
    return caught.value


def everything(home: Path) -> dict[str, bytes]:
    """Return what is in a home, but for locks."""
    paths = (path for path in home.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path): path.read_bytes() for path in paths}
