"""The daemon that supervises a service: a changed setting, its idle cost, and what kills leave."""

import json
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median

import psutil

from benchmarks.commands import PRODUCT, run
from benchmarks.report import Section, most
from benchmarks.world import environment
from mahavishnu.base.daemon.record import find_listening
from mahavishnu.base.paths import locate

CHANGES = 9
IDLE_S = 60.0
KILLS = 200
SERVER = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(sys.argv[2].encode())
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def measure_services(home: Path) -> Section:
    """Measure one home with one service, a small server."""
    began = time.monotonic()
    section = Section("The daemon and a service")
    environ = environment(home, MAHAVISHNU_EMBEDDING_PROVIDER="none", MAHAVISHNU_PORT="0")
    settings = home / "mahavishnu/config/mahavishnu.yaml"
    settings.parent.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    _define(settings, port, "0")
    run((*PRODUCT, "memory", "store", "So that there is a database."), environ)
    run((*PRODUCT, "up", "--detach"), environ)
    try:
        _until(lambda: _answer(port) == "0")
        changes = [_time_change(settings, port, str(number)) for number in range(1, CHANGES + 1)]
        bare = [_time_bare(home) for _ in range(CHANGES)]
        beyond = median(changes) - median(bare)
        section.add(
            "from a changed setting to the new service", most("beyond s", 2.0),
            s=median(changes), its__own__start__s=median(bare), beyond__s=beyond,
        )  # fmt: skip
        for name, interval_s in (("idle", 10), ("idle, its health checked each second", 1)):
            _define(settings, port, str(interval_s), interval_s)
            _until(partial(_answers, port, str(interval_s)))
            time.sleep(6)  # for the rest after a change
            share, memory = _measure_idle(_pid(environ))
            goals = [most("% of a core", 0.5)] if interval_s == 10 else []
            section.add(name, *goals, **{"%__of__a__core": share, "mb": memory})
        for _ in range(KILLS):
            os.kill(_pid(environ), signal.SIGKILL)
            _until(lambda: find_listening(locate(environ).daemon_lock) is None)
            run((*PRODUCT, "up", "--detach"), environ)
            _until(lambda: _answer(port) is not None)
        serving = len(_processes_of(home, SERVER))
        section.add(f"{KILLS} kills of the daemon", most("servers", 1), servers=serving)
    finally:
        run((*PRODUCT, "down"), environ)
    _until(lambda: not _processes_of(home, SERVER))
    section.add("left after its end", most("servers", 0), servers=0)
    section.seconds = time.monotonic() - began
    return section


def _measure_idle(pid: int) -> tuple[float, float]:
    """Return the share of a core in per cent and the memory in MB of an idle daemon."""
    daemon = psutil.Process(pid)
    before = sum(daemon.cpu_times()[:2])
    time.sleep(IDLE_S)
    share = (sum(daemon.cpu_times()[:2]) - before) / IDLE_S * 100
    return share, daemon.memory_info().rss / 2**20


def _define(settings: Path, port: int, answer: str, interval_s: int = 1) -> None:
    command = [sys.executable, "-c", SERVER, str(port), answer]
    health = {"http": f"http://127.0.0.1:{port}/", "interval": interval_s}
    settings.write_text(json.dumps({"services": {"web": {"command": command, "health": health}}}))


def _time_change(settings: Path, port: int, answer: str) -> float:
    started = time.perf_counter()
    _define(settings, port, answer)
    _until(lambda: _answer(port) == answer)
    taken = time.perf_counter() - started
    time.sleep(6)  # for the rest after a change
    return taken


def _time_bare(home: Path) -> float:
    """Return what the service needs to start, beside the product."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    started = time.perf_counter()
    process = psutil.Popen([sys.executable, "-c", SERVER, str(port), "x"], cwd=home)
    try:
        _until(lambda: _answer(port) == "x")
        return time.perf_counter() - started
    finally:
        process.kill()
        process.wait()


def _answer(port: int) -> str | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            text: str = answer.read().decode()
            return text
    except (OSError, urllib.error.URLError):
        return None


def _answers(port: int, expected: str) -> bool:
    return _answer(port) == expected


def _pid(environ: Mapping[str, str]) -> int:
    record = find_listening(locate(environ).daemon_lock)
    assert record is not None
    return record.pid


def _processes_of(home: Path, word: str) -> list[psutil.Process]:
    """Return this user's processes with a word that belong to a home."""
    found = []
    for process in psutil.process_iter():
        try:
            if word in process.cmdline() and str(home) in " ".join(process.environ().values()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def _until(condition: Callable[[], bool], timeout_s: float = 120.0) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError("It did not come true in time.")
        time.sleep(0.005)
