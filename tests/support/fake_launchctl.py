"""
In the place of launchctl, which no system but macOS has: loads agents, runs and ends them, says how they are.

`launchctl(FOLDER)` puts it into a folder for programs. It does what `man launchctl` says of print, bootstrap,
kickstart and bootout, and is no proof that launchd does the same.
"""

import contextlib
import os
import plistlib
import signal
import subprocess
import sys
import time
from pathlib import Path

NOT_FOUND = 113


def launchctl(folder: Path) -> None:
    """Put the program into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "launchctl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} {folder}/loaded "$@"\n')
    program.chmod(0o755)


def main(loaded: Path, act: str, target: str, path: str = "") -> int:
    """Do one act; returns the exit code."""
    loaded.mkdir(exist_ok=True)
    if act == "bootstrap":
        agent = plistlib.loads(Path(path).read_bytes())
        here = loaded / agent["Label"]
        if here.exists():
            return 5
        here.mkdir()
        (here / "plist").write_bytes(Path(path).read_bytes())
        return _run(here) if agent["RunAtLoad"] else 0
    here = loaded / target.rpartition("/")[2]
    if not here.exists():
        return NOT_FOUND
    if act == "kickstart":
        return 0 if _pid(here) else _run(here)
    if act == "bootout":
        return _end(here)
    pid = _pid(here)
    print(f"{target} = {{\n\tstate = {'running' if pid else 'not running'}\n\truns = 1")
    print(f"\tpid = {pid}\n}}" if pid else f"\tlast exit code = {_status(here)}\n}}")
    return 0


def _run(here: Path) -> int:
    """Start the agent below a process that writes down how it ends."""
    agent = plistlib.loads((here / "plist").read_bytes())
    for name in ("pid", "status"):
        (here / name).unlink(missing_ok=True)
    if os.fork():
        while not (here / "pid").exists():
            time.sleep(0.01)
        return 0
    os.setsid()
    with Path(agent["StandardOutPath"]).open("ab") as log:
        process = subprocess.Popen(
            agent["ProgramArguments"], env=agent["EnvironmentVariables"],
            cwd=agent["WorkingDirectory"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    for number in (0, 1, 2):
        os.close(number)
    (here / "unfinished").write_text(str(process.pid))
    (here / "unfinished").rename(here / "pid")
    status = process.wait()
    with contextlib.suppress(FileNotFoundError):
        (here / "status").write_text(str(status))
    os._exit(0)


def _pid(here: Path) -> int | None:
    return (
        None
        if (here / "status").exists() or not (here / "pid").exists()
        else int((here / "pid").read_text())
    )


def _status(here: Path) -> str:
    return (here / "status").read_text() if (here / "status").exists() else "(never exited)"


def _end(here: Path) -> int:
    until = time.monotonic() + plistlib.loads((here / "plist").read_bytes())["ExitTimeOut"]
    pid = _pid(here)
    if pid:
        os.kill(pid, signal.SIGTERM)
    while _pid(here):
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    for each in here.iterdir():
        each.unlink()
    here.rmdir()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
