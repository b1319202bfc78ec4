"""What others change in settings is an event with the names of keys, and restarts what it affects, and nothing else."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.ai.foreign_files.documents.json_document import JsonDocument
from mahavishnu.ai.foreign_files.files import SettingsFile
from mahavishnu.ai.foreign_files.merge import Set
from mahavishnu.base.errors import MahavishnuError, Unavailable
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.daemon.config_watch import ConfigWatch
from mahavishnu.operations.ai.watched_files import affected_units, watched_files
from mahavishnu.services.events.journal import Event, EventJournal
from mahavishnu.services.schedule.pause import Pause, PauseFile
from mahavishnu.services.watch.changes import WatchedFile, WatchedSettings
from tests.support.switching import AT_ONCE


@dataclass
class Watching:
    """A home whose settings are watched; each `look` is one look at them."""

    home: Path
    fault: MahavishnuError | None = None
    restarted: list[Sequence[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.environ = {"HOME": str(self.home), "MAHAVISHNU_HOME": str(self.home)}
        (self.home / "config").mkdir()
        self.own = self.home / "config/mahavishnu.yaml"
        self.claude = self.home / ".claude/settings.json"
        self.claude.parent.mkdir()
        self.claude.write_text('{"theme": "dark"}')
        self.loaded = load_settings(environ=self.environ, folder=self.home)
        self.events = EventJournal(self.home / "state")
        self.pause = PauseFile(self.home / "state")
        app: Any = self
        self.watch = ConfigWatch(app, self.restart)

    async def restart(self, units: Sequence[str]) -> None:
        self.restarted.append(units)
        if self.fault is not None:
            raise self.fault

    async def look(self) -> list[Event]:
        """Return the events of one look."""
        before = len(self.events.read(limit=999))
        await self.watch.look(watched_files(self.loaded))
        return self.events.read(limit=999)[before:]

    def edit(self, **members: str) -> None:
        """Change Claude Code's settings as a command of ours does."""
        locks = self.home / "state/ai/locks"
        changes = [Set((name,), value) for name, value in members.items()]
        SettingsFile(self.claude, JsonDocument, locks, AT_ONCE).edit(changes)


@pytest.fixture
async def home(tmp_path: Path) -> Watching:
    watching = Watching(tmp_path)
    assert await watching.look() == []
    return watching


async def test_what_others_change_is_an_event_without_values(home: Watching) -> None:
    home.claude.write_text(json.dumps({"theme": "dark", "env": {"A_KEY": "sk-canary"}}))
    [event] = await home.look()
    assert (event.what, event.result) == ("config.changed claude-code", "done")
    assert event.after == "env.A_KEY" and str(home.claude) in event.why
    assert await home.look() == []
    home.claude.unlink()
    [event] = await home.look()
    assert event.after == "env.A_KEY, theme"
    assert b"canary" not in home.events.path.read_bytes()


async def test_our_own_writes_are_no_events_and_hide_no_others(home: Watching) -> None:
    home.edit(model="a")
    home.edit(model="b", theme="light")
    assert await home.look() == []
    home.claude.write_text('{"theme": "light", "model": "c"}')
    home.edit(theme="dark")
    [event] = await home.look()
    assert event.after == "model, theme"
    home.edit(theme="light")
    home.claude.write_text('{"theme": "light", "model": "d"}')
    [event] = await home.look()
    assert event.after == "model, theme"


async def test_the_next_start_counts_for_what_the_daemon_has_read(home: Watching) -> None:
    home.own.write_text("log_level: info\nai_environments: {verify_switch: true}\n")
    [event] = await home.look()
    assert event.what == "config.changed mahavishnu"
    assert event.after == (
        "ai_environments.verify_switch, log_level; only the next start of the daemon reads log_level"
    )


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("log_level: [\n", "settings.unparsable"),
        ("log_levle: info\n", "settings.unknown_key"),
        ("server: {port: many}\n", "settings.invalid_value"),
    ],
)
async def test_a_broken_file_is_an_event_once_and_its_repair_another(
    home: Watching, text: str, code: str
) -> None:
    home.own.write_text(text)
    [event] = await home.look()
    assert (event.what, event.result, event.code) == ("config.broken mahavishnu", "failed", code)
    home.own.write_text(f"{text}# still\n")
    assert await home.look() == []
    home.own.write_text("log_level: info\n")
    repaired, changed = await home.look()
    assert (repaired.what, repaired.result) == ("config.broken mahavishnu", "done")
    assert changed.what == "config.changed mahavishnu"


async def test_a_clients_broken_file_is_an_event_and_the_others_are_watched_on(
    home: Watching,
) -> None:
    home.claude.write_text("{")
    [event] = await home.look()
    assert (event.what, event.code) == ("config.broken claude-code", "document.torn")
    home.own.write_text("log_level: info\n")
    assert [each.what for each in await home.look()] == ["config.changed mahavishnu"]


def test_exactly_the_units_whose_settings_changed_are_affected() -> None:
    keys = ["services.web.command", "services.web.health.http", "session_buddy.enabled",
            "postgresql.host", "ai_environments.codex.enabled"]  # fmt: skip
    assert affected_units(keys) == ("web", "session-buddy")
    assert affected_units(["log_level", "services"]) == ()


def units_file(path: Path, **values: str) -> WatchedFile:
    """Return our settings file as it is where there are services."""
    return WatchedFile("mahavishnu", path, lambda _: values)


async def test_a_change_restarts_its_unit_and_a_pause_holds_that_until_its_end(
    home: Watching,
) -> None:
    path = home.home / "units.yaml"

    async def change(text: str) -> None:
        path.write_text(text)
        await home.watch.look([units_file(path, **{"services.web.command": text, "a": "b"})])

    await change("one")
    await change("two")
    assert home.restarted == [("web",)]
    home.pause.write(Pause(since=datetime.now(UTC)))
    await change("three")
    await change("four")
    assert len(home.restarted) == 1
    home.pause.write(Pause(since=datetime.now(UTC), dry_run=True))
    await change("five")
    await change("six")
    skipped = [each for each in home.events.read(limit=99) if each.result == "skipped"]
    assert [each.after for each in skipped] == ["web would be restarted."]
    assert len(home.restarted) == 1
    home.pause.remove()
    await change("six")
    assert home.restarted == [("web",), ("web",)]
    home.fault = Unavailable("web is not healthy.", code="tests.unhealthy")
    await change("seven")
    last = home.events.read(limit=1)[0]
    assert (last.what, last.result, last.code) == (
        "config.restart web",
        "failed",
        "tests.unhealthy",
    )
    await change("seven")
    assert len(home.restarted) == 3


def test_a_look_keeps_no_value(tmp_path: Path) -> None:
    watched = WatchedSettings()
    (tmp_path / "a").write_text("x")
    watched.look([WatchedFile("a", tmp_path / "a", lambda _: {"key": "sk-canary"})])
    assert "canary" not in repr(vars(watched))
