"""
How the keeper's children run: with which rights, and that none outlives the keeper.

PostgreSQL refuses to run as root. Where the keeper is root, its children get another uid in a user
namespace of their own (files stay root's), else uid 65534 with the one capability to pass root's
private folders; no account is added and no folder is opened.
"""

import contextlib
import ctypes
import errno
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mahavishnu.base.children import die_with_parent, own_children, prctl
from mahavishnu.base.errors import Unavailable
from mahavishnu.base.processes import ProcessIdentity

NOBODY = 65534
MODES = ("auto", "userns", "capability", "none")

PR_SET_SECUREBITS = 28
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


@dataclass(frozen=True)
class Rights:
    """Who owns the cluster, as the keeper sees it, and what a child does to become that user."""

    owner: int
    demote: Callable[[], None] | None = None


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityData(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def choose_rights(mode: str, postgres: Path, folder: Path) -> Rights:
    """
    Return the first rights of `mode` under which `postgres` runs and sees `folder`.

    Raises:
        Unavailable: `database.root`, where root has no way to become another user.
    """
    if mode == "none" or (os.geteuid() != 0 and _is_named(os.geteuid())):
        return Rights(os.geteuid())
    if sys.platform != "linux":
        raise Unavailable(
            "The embedded PostgreSQL does not run as root or a nameless user on this system.",
            hint="Run as an ordinary user, or set postgresql.dsn.",
            code="database.root",
        )
    candidates = {
        "userns": Rights(os.geteuid(), _enter_namespace),
        "capability": Rights(NOBODY, _keep_one_capability),
    }
    if os.geteuid() != 0:  # a bare uid, as containers give: initdb wants one with a name
        del candidates["capability"]
    for name, rights in candidates.items():
        if mode in {"auto", name} and _works(rights, postgres, folder):
            return rights
    raise Unavailable(
        "PostgreSQL refuses to run as root or without a user name, and that cannot be changed here.",
        hint="Allow user namespaces or CAP_SETUID, run as an ordinary user, or set postgresql.dsn.",
        code="database.root",
    )


def _works(rights: Rights, postgres: Path, folder: Path) -> bool:
    def reach() -> None:
        if rights.demote is not None:
            rights.demote()
        (folder / "keeper.lock").stat()  # needs the right to pass the folder and those above it

    try:
        answer = subprocess.run(
            [postgres, "--version"],
            env={},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            preexec_fn=reach,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return answer.returncode == 0 and not answer.stderr


def _is_named(uid: int) -> bool:
    """Tell whether the system knows a user of that number; PostgreSQL's programs ask for the name."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _named_uid() -> int:
    """Return the number of a user that has a name and is not root. Raises OSError without one."""
    for entry in sorted(pwd.getpwall(), key=lambda entry: entry.pw_name != "nobody"):
        if entry.pw_uid != 0:
            return entry.pw_uid
    raise OSError(errno.ENOENT, "no user but root has a name")


def _enter_namespace() -> None:
    user, group, inside = os.geteuid(), os.getegid(), _named_uid()
    os.unshare(os.CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{inside} {user} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{inside} {group} 1", encoding="ascii")


def _keep_one_capability() -> None:
    # Without this bit access(2) ignores capabilities, and PostgreSQL does not find its own program.
    prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    header = _CapabilityHeader(CAPABILITY_VERSION_3, 0)
    data = (_CapabilityData * 2)()
    data[0].effective = data[0].permitted = data[0].inheritable = 1 << CAP_DAC_OVERRIDE
    libc = _libc()
    if libc.capset(ctypes.byref(header), data) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE)


def prepare_child(rights: Rights, death_signal: signal.Signals | None) -> Callable[[], None] | None:
    """
    Return what a child does between fork and exec: take its rights, die with the keeper (Linux).

    The signal is asked for last, since a change of user clears it.
    """
    keeper = os.getpid()
    asks = sys.platform == "linux" and death_signal is not None

    def prepare() -> None:
        if rights.demote is not None:
            rights.demote()
        if death_signal is not None:
            die_with_parent(keeper, death_signal)

    return prepare if asks or rights.demote else None


def end_orphans() -> None:
    """
    Kill and reap what a dead postmaster left behind; the keeper must have no other child.

    A server process that is in a long loop would otherwise hold the shared memory, and no new
    postmaster could start.
    """
    for pid in own_children():
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


@dataclass(frozen=True)
class Watcher:
    """Where no parent-death signal exists: a process that stops the postmaster after the keeper."""

    pid: int
    pipe: int

    @classmethod
    def start(cls, postmaster: ProcessIdentity) -> "Watcher":
        """Fork the watcher; it holds nothing but a pipe that ends with the keeper."""
        reader, writer = os.pipe()
        pid = os.fork()
        if pid:
            os.close(reader)
            return cls(pid, writer)
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            os.dup2(reader, 3)  # every other descriptor goes, the keeper's locks among them
            os.closerange(4, os.sysconf("SC_OPEN_MAX"))
            os.read(3, 1)
            if postmaster.alive:
                os.kill(postmaster.pid, signal.SIGINT)
        finally:
            os._exit(0)

    def end(self) -> None:
        """Let the watcher go; its postmaster is dead."""
        os.close(self.pipe)
        os.waitpid(self.pid, 0)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
