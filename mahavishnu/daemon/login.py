"""
Let a supervisor of the system start the daemon at login, and again when it failed.

What is to be written is planned first, and can be shown. systemd is asked where it can be reached; commands for launchd
and supervisord are left to the user.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from msgspec import Struct

from mahavishnu.base.daemon.record import find_daemon
from mahavishnu.base.errors import Unavailable, UsageError
from mahavishnu.base.paths import APP, Locations, private_folder
from mahavishnu.services.backends.launchd import agents_folder, render_plist
from mahavishnu.services.backends.owned_files import place, remove, require_ours, sealed
from mahavishnu.services.backends.supervisord_files import find_settings, render_program
from mahavishnu.services.backends.systemd import (
    SUFFIX,
    SYSTEMCTL,
    is_reached,
    render_unit,
    unit_folder,
)
from mahavishnu.services.units.unit import Unit

type LoginBackend = Literal["systemd", "launchd", "supervisord"]
LOGIN_BACKENDS: tuple[LoginBackend, ...] = get_args(LoginBackend.__value__)
LABEL = "com.mahavishnu.daemon"  # launchd's name of it
# What a daemon that was started by hand has from its terminal; other variables may be keys.
PASSED_ON = (
    "MAHAVISHNU_HOME", "PATH", "LANG", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME",
)  # fmt: skip
# Exit codes that another try does not change: a wrong call, and a daemon that runs already.
FINAL = (2, 4)
SLACK_S = 15.0  # beyond the time that running requests get


type _Words = tuple[str, ...]


@dataclass(frozen=True)
class LoginPlan:
    """What is written, and what the supervisor is then told: by us where `reached`, else by the user."""

    backend: LoginBackend
    path: Path
    text: str
    enable: tuple[_Words, ...] = ()  # with the file
    begin: tuple[_Words, ...] = ()  # after that, unless a daemon runs
    disable: tuple[_Words, ...] = ()  # before the file is removed
    forget: tuple[_Words, ...] = ()  # after that
    reached: bool = False


class LoginEntry(Struct, frozen=True, kw_only=True):
    """
    The file that starts the daemon at login, and whether this call wrote or removed it.

    `ran` was said to the supervisor; `to_run` is left to the user. `unseen` are variables with settings that a daemon
    does not see which a supervisor starts.
    """

    backend: LoginBackend
    path: str
    installed: bool
    changed: bool
    dry_run: bool
    text: str | None = None
    ran: list[str] = []
    to_run: list[str] = []
    unseen: list[str] = []


def plan_login(
    backend: LoginBackend | None,
    locations: Locations,
    environ: Mapping[str, str],
    *,
    drain_s: float,
    config: Path | None = None,
) -> LoginPlan:
    """
    Return what is to be written for a supervisor, by default the one that this system has.

    Raises:
        UsageError: `service.no_supervisor`, `service.supervisord_config`, `service.backend_cannot`.
    """
    backend, home = backend or _usual(), Path.home()
    unit = Unit(
        name=APP,
        command=(sys.executable, "-P", "-m", APP, "up"),
        environment=tuple(f"{name}={environ[name]}" for name in PASSED_ON if environ.get(name)),
        working_directory=str(home),
        grace_s=drain_s + SLACK_S,
    )
    # What it started may be others' as well, such as PostgreSQL: it sees to that itself.
    log, whole = locations.daemon_log, False
    if backend == "systemd":
        name = APP + SUFFIX
        text = render_unit(unit, log=log, whole_group=whole, final=FINAL)
        return LoginPlan(
            backend,
            unit_folder(environ, home) / name,
            sealed(text),
            enable=((*SYSTEMCTL, "daemon-reload"), (*SYSTEMCTL, "enable", name)),
            begin=((*SYSTEMCTL, "start", name),),
            disable=((*SYSTEMCTL, "disable", name),),
            forget=((*SYSTEMCTL, "daemon-reload"),),
            reached=is_reached(),
        )
    if backend == "launchd":
        path, domain = agents_folder(home) / f"{LABEL}.plist", f"gui/{os.getuid()}"
        text = render_plist(unit, label=LABEL, log=log, whole_group=whole)
        return LoginPlan(
            backend,
            path,
            sealed(text),
            begin=(("launchctl", "bootstrap", domain, str(path)),),
            forget=(("launchctl", "bootout", f"{domain}/{LABEL}"),),
        )
    found = find_settings(config)
    text = render_program(unit, log=log, whole_group=whole)
    update = (("supervisorctl", "-c", str(found.source), "update"),)
    return LoginPlan(backend, found.file_of(APP), sealed(text), begin=update, forget=update)


def install(
    plan: LoginPlan, locations: Locations, environ: Mapping[str, str], *, dry_run: bool
) -> LoginEntry:
    """
    Write the file, and let the supervisor start the daemon unless one runs.

    Raises:
        Conflict: `service.foreign_file`.
        Unavailable: `service.supervisor_failed`.
    """
    require_ours(plan.path)
    running = find_daemon(locations.daemon_lock) is not None
    words = plan.enable + (() if running else plan.begin)
    changed = False
    if not dry_run:
        private_folder(locations.state)
        changed = place(plan.path, plan.text)
        if plan.reached:
            _tell(*words)
    lines, is_run = [shlex.join(each) for each in words], plan.reached and not dry_run
    unseen = [name for name in environ if name.startswith("MAHAVISHNU_") and name not in PASSED_ON]
    return LoginEntry(
        backend=plan.backend,
        path=str(plan.path),
        installed=not dry_run,
        changed=changed,
        dry_run=dry_run,
        text=plan.text,
        unseen=sorted(unseen),
        ran=lines if is_run else [],
        to_run=[] if is_run else lines,
    )


def uninstall(plan: LoginPlan, *, dry_run: bool) -> LoginEntry:
    """
    Remove the file that `install` wrote; a daemon that systemd started goes on.

    Raises:
        Conflict: `service.foreign_file`.
        Unavailable: `service.supervisor_failed`.
    """
    there = require_ours(plan.path)
    words = plan.disable + plan.forget if there else ()
    changed = False
    if there and not dry_run:
        if plan.reached:
            _tell(*plan.disable)
        changed = remove(plan.path)
        if plan.reached:
            _tell(*plan.forget)
    lines, is_run = [shlex.join(each) for each in words], plan.reached and not dry_run
    return LoginEntry(
        backend=plan.backend,
        path=str(plan.path),
        installed=there and dry_run,
        changed=changed,
        dry_run=dry_run,
        ran=lines if is_run else [],
        to_run=[] if is_run else lines,
    )


def _usual() -> LoginBackend:
    if sys.platform == "darwin":
        return "launchd"
    if shutil.which("systemctl"):
        return "systemd"
    raise UsageError(
        "This system has no systemd.",
        hint="If you use supervisord: --backend supervisord",
        code="service.no_supervisor",
    )


def _tell(*commands: _Words) -> None:
    for words in commands:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Unavailable(
                f"{shlex.join(words)} failed: {done.stderr.strip()}",
                hint="The file is there. Solve that, and run the command again.",
                code="service.supervisor_failed",
            )
