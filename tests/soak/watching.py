"""What looks on: the prober of availability, and the sampler of the daemon's memory and files."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field

import httpx
import psutil

from tests.soak.calls import Refused, call_api
from tests.soak.home import Home

PROBE_EVERY_S = 0.5
PROBE_PATIENCE_S = 5.0
SAMPLE_EVERY_S = 5.0
BEACON = "The lighthouse stays where it is."


@dataclass(frozen=True)
class Probe:
    """One look: when, what went wrong, and how long it took."""

    at: float
    problem: str
    seconds: float


@dataclass(frozen=True)
class Sample:
    """The daemon at a moment."""

    at: float
    pid: int
    rss_mb: float
    files: int
    cpu_s: float


@dataclass
class Watcher:
    """Begins a probe each half second, whatever became of those before."""

    home: Home
    http: httpx.AsyncClient
    probes: list[Probe] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

    async def live(self) -> None:
        """Probe and sample until the run ends."""
        await asyncio.gather(self._probe_on(), self._sample_on())

    async def _probe_on(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while not self.home.ending:
                tasks.create_task(self._probe())
                await asyncio.sleep(PROBE_EVERY_S - time.monotonic() % PROBE_EVERY_S)

    async def _probe(self) -> None:
        at, problem = self.home.now, ""
        try:
            async with asyncio.timeout(PROBE_PATIENCE_S):
                answer = await self.http.get("/health")
                if answer.status_code != 200:
                    problem = f"/health {answer.status_code}"
                else:
                    body = {"query": "lighthouse", "mode": "text", "limit": 1}
                    found = await call_api(self.http, "POST", "search", body)
                    if [each["content"] for each in found["hits"]] != [BEACON]:
                        problem = "search without the memory"
        except Refused as error:
            problem = f"search {error.code}"
        except httpx.TransportError as error:
            problem = type(error).__name__
        except TimeoutError:
            problem = f"no answer in {PROBE_PATIENCE_S:.0f} s"
        self.probes.append(Probe(at, problem, self.home.now - at))

    async def _sample_on(self) -> None:
        while not self.home.ending:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(self.home.pid)
                with process.oneshot():
                    cpu_s = sum(process.cpu_times()[:2])
                    rss_mb = process.memory_info().rss / 2**20
                self.samples.append(
                    Sample(self.home.now, process.pid, rss_mb, process.num_fds(), cpu_s)
                )
            await asyncio.sleep(SAMPLE_EVERY_S)
