"""The faults, by seed: what is harmed, from when to when, and the witness of its end."""

import asyncio
import contextlib
import json
import os
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import asyncpg
import psutil

from mahavishnu.base.daemon.record import find_listening
from tests.soak.home import Home
from tests.support.daemon import postmaster
from tests.support.daemon import record as record_of
from tests.support.small_disk import fill

EVERY_S = 70.0
STOPPED_S = 12.0
FULL_S = 4.0
DECK = Counter(
    {"backend": 4, "server": 3, "stopped": 3, "service": 3, "cut off": 5, "full": 1, "keeper": 1}
)
DAEMON_KILLS = 3
DAEMON_UNTIL = (
    0.4  # of the run: what comes after is one life of the daemon, for the figures of its memory
)


@dataclass
class Harm:
    """One fault; `ended` is when what was harmed worked again by another witness than the daemon."""

    kind: str
    began: float
    ended: float = float("inf")


@dataclass
class Harmer:
    """Does the faults of a run at the moments that its seed draws."""

    home: Home
    seed: int
    seconds: float
    rooted: bool
    every_s: float = EVERY_S
    done: list[Harm] = field(default_factory=list)

    def plan(self) -> list[tuple[float, str]]:
        """Return when what is done, in order; the first and last half minute are left alone."""
        draw = random.Random(f"{self.seed}/harms")
        deck = [each for each in DECK.elements() if self.rooted or each != "full"]
        plan, at = [], 30.0
        hand: list[str] = []
        while at < self.seconds - 30:
            hand = hand or draw.sample(deck, len(deck))
            plan.append((at, hand.pop()))
            at += self.every_s * draw.uniform(0.6, 1.4)
        kills = [draw.uniform(30, DAEMON_UNTIL * self.seconds) for _ in range(DAEMON_KILLS)]
        return sorted([*plan, *((at, "daemon") for at in kills)])

    async def live(self) -> None:
        """Do all of them."""
        draw = random.Random(f"{self.seed}/victims")
        for at, kind in self.plan():
            await asyncio.sleep(max(0.0, at - self.home.now))
            harm = Harm(kind, self.home.now)
            self.done.append(harm)
            try:
                await HARMS[kind](self, draw)
            except (OSError, psutil.Error, AssertionError) as error:
                self.home.outcomes.update([f"{kind} not done: {type(error).__name__} {error}"])
            harm.ended = self.home.now

    async def kill_daemon(self, _: random.Random) -> None:
        pid = self.home.pid
        os.kill(pid, signal.SIGKILL)
        record = record_of(self.home.command)
        while (found := find_listening(record)) is None or found.pid == pid:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)

    async def kill_backend(self, draw: random.Random) -> None:
        """Kill a process of a connection, for which PostgreSQL ends all others and recovers."""
        children = psutil.Process(postmaster(self.home.command).pid).children()
        backends = [each for each in children if " mahavishnu " in " ".join(each.cmdline())]
        if backends:
            draw.choice(backends).kill()
            await self._database_back()

    async def kill_server(self, _: random.Random) -> None:
        os.kill(postmaster(self.home.command).pid, signal.SIGKILL)
        await self._database_back()

    async def kill_keeper(self, _: random.Random) -> None:
        """Kill the process that keeps PostgreSQL, which goes on."""
        parent = psutil.Process(postmaster(self.home.command).pid).parent()
        if parent and "keeper" in " ".join(parent.cmdline()):
            parent.kill()
        await self._database_back()

    async def stop_service(self, _: random.Random) -> None:
        """Let the embedder hang for a while."""
        victims = [each for each in self._services() if "embedder.py" in " ".join(each.cmdline())]
        for each in victims:
            each.suspend()
        await asyncio.sleep(STOPPED_S)
        for each in victims:
            with contextlib.suppress(psutil.Error):
                each.resume()

    async def kill_service(self, draw: random.Random) -> None:
        if victims := self._services():
            draw.choice(victims).kill()
            await asyncio.sleep(5)

    async def fill_disk(self, _: random.Random) -> None:
        ballast = self.home.command.root / "ballast"
        try:
            fill(ballast, leave_mb=1)
            with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as rest:
                while rest.write(bytes(4096)):
                    pass
            await asyncio.sleep(FULL_S)
        finally:
            ballast.unlink()
        await self._database_back()

    async def cut_off(self, draw: random.Random) -> None:
        """Store something, and be gone before the answer or in the middle of the body."""
        text = f"Note cut-{len(self.done)} of the soak."
        self.home.ledger.note("unsure", text)
        body = json.dumps({"content": text}).encode()
        token = (self.home.command.root / "state/token").read_text().strip()
        head = (
            f"POST /api/v1/memories HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", self.home.port)
            writer.write(head + (body if draw.random() < 0.5 else body[: len(body) // 2]))
            await writer.drain()
            writer.transport.abort()

    def _services(self) -> list[psutil.Process]:
        found = []
        for each in self.home.processes():
            with contextlib.suppress(psutil.Error):
                words = each.cmdline()
                if words[:2] == ["sh", "-c"] or (
                    words[1:] and words[1].endswith("soak/embedder.py")
                ):
                    found.append(each)
        return found

    async def _database_back(self) -> None:
        """Wait until PostgreSQL takes a connection of ours."""
        await asyncio.sleep(0.1)
        for _ in range(600):
            with contextlib.suppress(OSError, IndexError, asyncpg.PostgresError):
                await (await self.home.connect()).close()
                return
            await asyncio.sleep(0.1)


HARMS: dict[str, Callable[[Harmer, random.Random], Awaitable[None]]] = {
    "daemon": Harmer.kill_daemon, "backend": Harmer.kill_backend, "server": Harmer.kill_server,
    "keeper": Harmer.kill_keeper, "stopped": Harmer.stop_service, "service": Harmer.kill_service,
    "full": Harmer.fill_disk, "cut off": Harmer.cut_off,
}  # fmt: skip
