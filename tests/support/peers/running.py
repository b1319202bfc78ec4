"""The daemon that the real clients speak to: `mahavishnu up` in a home of its own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mahavishnu.base.daemon.record import find_listening
from mahavishnu.base.daemon.token import read_token
from mahavishnu.base.paths import Locations, locate
from tests.support.command import Command
from tests.support.daemon import layout
from tests.support.external import free_port


@dataclass(frozen=True)
class Daemon:
    """A running daemon; `command` runs the CLI beside it, on the same data."""

    command: Command

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        record = find_listening(self._locations.daemon_lock)
        assert record is not None
        return record.url

    @property
    def token(self) -> str:
        """What it wants to see as bearer token."""
        return read_token(self._locations.token)

    @property
    def environ(self) -> dict[str, str]:
        """What a program of ours needs to find it from another home."""
        names = ("MAHAVISHNU_HOME", "MAHAVISHNU_PORT", "MAHAVISHNU_PG_IDLE_TIMEOUT")
        return {name: self.command.environ()[name] for name in names}

    def restart(self) -> None:
        """End it and start it again, on the same port."""
        self.stop()
        self.start()

    def start(self) -> None:
        """Start it; it listens when this returns."""
        answer = self.command("up", "--detach")
        assert answer.status == 0, answer

    def stop(self) -> None:
        """End it."""
        answer = self.command("down")
        assert answer.status == 0, answer

    @property
    def _locations(self) -> Locations:
        return locate(self.command.environ())


@pytest.fixture(scope="session")
def daemon(
    tmp_path_factory: pytest.TempPathFactory, place: Callable[[Path], None]
) -> Iterator[Daemon]:
    """One daemon for all tests; they tell their memories apart by what these say."""
    home = tmp_path_factory.mktemp("daemon")
    started = Daemon(Command(home, {"MAHAVISHNU_PORT": str(free_port())}))
    place(layout(started.command).folder)
    started.start()
    yield started
    started.stop()
