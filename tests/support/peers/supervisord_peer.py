"""A supervisord with a socket that wants a password, and a folder of programs."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.peers.conftest import require_peers
from tests.support.peers.llama_peer import ended

WAIT_S = 60.0
CONFIG = """
[supervisord]
nodaemon=true
user={user}
logfile={folder}/supervisord.log
pidfile={folder}/supervisord.pid
childlogdir={folder}

[unix_http_server]
file={socket}/s.sock ; where it listens
username=user
password=canary

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{socket}/s.sock
username=user
password=canary

[include]
files=%(here)s/programs/*.conf
"""


@dataclass(frozen=True)
class Supervisord:
    """A running one; `config` is its settings file."""

    config: Path

    def control(self, *words: str) -> str:
        """Run its own command; returns what it says."""
        control = (sys.executable, "-m", "supervisor.supervisorctl", "-c", self.config, *words)
        return subprocess.run(control, env=_ENVIRON, capture_output=True, text=True).stdout


_ENVIRON = {"PATH": os.environ["PATH"], "PYTHONWARNINGS": "ignore"}


@contextlib.contextmanager
def supervisord(folder: Path) -> Iterator[Supervisord]:
    """Run one while the block does."""
    require_peers("supervisor")
    folder.mkdir()
    (folder / "programs").mkdir()
    config = folder / "supervisord.conf"
    with tempfile.TemporaryDirectory(dir="/tmp") as socket:  # the name of a socket must be short
        config.write_text(CONFIG.format(folder=folder, socket=socket, user=os.getuid()))
        process = subprocess.Popen(
            (sys.executable, "-m", "supervisor.supervisord", "-c", config), env=_ENVIRON,
            cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        with ended(process):
            until = time.monotonic() + WAIT_S
            while not Path(socket, "s.sock").exists():
                assert process.poll() is None and time.monotonic() < until
                time.sleep(0.02)
            yield Supervisord(config)
