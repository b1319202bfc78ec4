"""
A user's systemd, the real one, confined: it sees no control groups but its own, and nothing that it starts outlives it.

The programs are this machine's, else Debian's. It needs root, for a mount namespace.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.missing_programs import skip_or_fail
from tests.support.peers.debian import NotFetched, fetch

GROUPS = Path("/sys/fs/cgroup/systemd")
WAIT_S = 60.0
# Of the control groups only the hierarchy that has no controllers, and of that only what is below its own; /run says
# that the system was booted with systemd, which it demands.
CONFINE = """
set -e
mount -t tmpfs tmpfs /sys/fs/cgroup
mkdir /sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
mkdir "/sys/fs/cgroup/systemd/$1"
echo $$ > "/sys/fs/cgroup/systemd/$1/cgroup.procs"
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system
exec "$2" --user --log-target=console
"""


@dataclass(frozen=True)
class Programs:
    """Where systemd's programs are, and what they need in the environment."""

    manager: Path
    environ: dict[str, str]

    def run(self, *words: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        """Run one of them to its end."""
        environ = {**self.environ, **more}
        path = shutil.which(words[0], path=environ["PATH"])
        assert path
        return subprocess.run(
            (path, *words[1:]), env=environ, capture_output=True, text=True, check=False
        )


def programs() -> Programs:
    """Return this machine's, else Debian's; skips or fails without."""
    manager = Path("/lib/systemd/systemd")
    if manager.exists() and shutil.which("systemctl") and shutil.which("systemd-analyze"):
        return Programs(manager, {"PATH": os.environ["PATH"]})
    try:
        unpacked, environ = fetch("systemd", "lib/systemd/systemd", "bin/systemctl")
    except NotFetched as error:
        skip_or_fail(f"systemd is not here: {error}")
    root = unpacked.parents[2]
    path = f"{root}/bin:{root}/usr/bin:{os.environ['PATH']}"
    units = {"SYSTEMD_UNIT_PATH": f"{root}/usr/lib/systemd/user:"}
    return Programs(unpacked, environ | {"PATH": path} | units)


@contextlib.contextmanager
def user_systemd(home: Path) -> Iterator[dict[str, str]]:
    """Run one for a home while the block does; yields what programs need to reach it."""
    # Its socket is in there, whose path may have 107 characters.
    with (
        tempfile.TemporaryDirectory(prefix="systemd-", dir="/tmp") as runtime,
        _running(home, Path(runtime)) as reach,
    ):
        yield reach


@contextlib.contextmanager
def _running(home: Path, runtime: Path) -> Iterator[dict[str, str]]:
    found = programs()
    group = f"mahavishnu-{os.getpid()}-{time.monotonic_ns()}"
    reach = found.environ | {"XDG_RUNTIME_DIR": str(runtime)}
    confined = ("unshare", "--mount", "--propagation", "private", "sh", "-c", CONFINE)
    log = runtime / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            (*confined, "sh", group, found.manager), env={**reach, "HOME": str(home)}, cwd="/",
            stdin=subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        until = time.monotonic() + WAIT_S
        while found.run("systemctl", "--user", "show", "--property=Version", **reach).returncode:
            if process.poll() is not None:
                skip_or_fail(f"systemd does not run here: {log.read_text()}")
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        yield reach
    finally:
        process.terminate()
        process.wait(WAIT_S)
        for folder in sorted(GROUPS.glob(f"{group}/**/"), reverse=True):
            folder.rmdir()
