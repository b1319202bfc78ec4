"""
Who runs which unit: the daemon itself, or a supervisor of the system.

A unit goes to the backend that its settings name. Where they name none it is the daemon's, unless one of the others has
a unit of that name already: that one goes on running it, and nothing is started twice.
"""

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from msgspec import structs

from mahavishnu.base.errors import MahavishnuError, UsageError
from mahavishnu.base.logs import get_logger
from mahavishnu.services.backends.launchd import agents_folder
from mahavishnu.services.backends.launchd_backend import LaunchdBackend
from mahavishnu.services.backends.supervisord import SupervisordBackend
from mahavishnu.services.backends.supervisord_files import find_settings
from mahavishnu.services.backends.system_backend import SystemBackend, unreachable
from mahavishnu.services.backends.systemd import SYSTEMCTL, unit_folder
from mahavishnu.services.backends.systemd_backend import SystemdBackend
from mahavishnu.services.supervision.own_backend import OwnBackend, UnitEnvironment
from mahavishnu.services.units.backend import UnitState
from mahavishnu.services.units.unit import BackendName, Unit

LOOK_AGAIN_S = 30.0
ANSWERS_S = 2.0
LAUNCHCTL = "/bin/launchctl"
_log = get_logger(__name__)


def find_others(
    config: Path | None, environ: Mapping[str, str], logs: Path
) -> dict[BackendName, SystemBackend]:
    """Return the supervisors that this system has, without a supervisord whose `config` leads nowhere."""
    found: dict[BackendName, SystemBackend] = {}
    home = Path.home()
    try:
        found["supervisord"] = SupervisordBackend(find_settings(config), logs)
    except UsageError as error:
        if config is not None:  # the services that others run must not suffer from it
            _log.warning("supervisord_left_out", code=error.code, reason=error.message)
    if shutil.which(SYSTEMCTL[0]):
        found["systemd"] = SystemdBackend(unit_folder(environ, home), logs)
    if Path(LAUNCHCTL).exists():
        found["launchd"] = LaunchdBackend(agents_folder(home), logs)
    return found


@dataclass(frozen=True)
class _Found:
    backend: SystemBackend | None
    at: float


class ChosenBackend(OwnBackend):
    """
    The daemon's own backend, which hands on what others run.

    `others` are the supervisors that this system has. `read_named` returns the backends that the settings name for
    units, once; from then on what is done with a unit says it.
    """

    def __init__(
        self,
        folder: Path,
        environment_of: Callable[[Unit], UnitEnvironment],
        *,
        others: Mapping[BackendName, SystemBackend],
        read_named: Callable[[], Mapping[str, BackendName | None]],
    ) -> None:
        super().__init__(folder, environment_of)
        self._others = others
        self._read_named = read_named
        self._named: dict[str, BackendName | None] | None = None
        self._found: dict[str, _Found] = {}
        self._silent_until: dict[BackendName, float] = {}

    async def check(self, unit: Unit) -> None:
        """As `OwnBackend.check`; for another backend also `service.backend_cannot`."""
        other = self._other_of(unit)
        if other is None or unit.command:
            await super().check(unit)
        if other is not None:
            await other.check(self._plain(unit))

    async def start(self, unit: Unit, *, restarts: int = 0) -> None:
        """Start a unit by the backend that has it; raises as `check`, and `service.backend_unreachable`."""
        other = self._other_of(unit)
        if other is None:
            await super().start(unit, restarts=restarts)
            return
        if unit.command:
            await super().check(unit)
        await other.start(self._plain(unit), restarts=restarts)

    async def stop(self, unit: Unit) -> None:
        """Stop a unit by the backend that has it."""
        other = self._other_of(unit)
        await (super().stop(unit) if other is None else other.stop(unit))

    def state(self, name: str) -> UnitState:
        """Return whether a unit runs; where its backend does not answer, that is why it does not."""
        own = super().state(name)
        try:
            other = self._other(name, own)
            return own if other is None else self._ask(other, lambda: other.state(name))
        except MahavishnuError as error:
            return UnitState(state="stopped", why=error.message)

    def log(self, name: str) -> Path:
        """Return the file of what a unit prints."""
        try:
            other = self._other(name)
        except MahavishnuError:
            other = None
        return super().log(name) if other is None else other.log(name)

    def _other_of(self, unit: Unit) -> SystemBackend | None:
        self._names()[unit.name] = unit.backend
        return self._other(unit.name)

    def _names(self) -> dict[str, BackendName | None]:
        if self._named is None:
            try:
                self._named = dict(self._read_named())
            except MahavishnuError:  # who reads the units says so
                return {}
        return self._named

    def _other(self, name: str, own: UnitState | None = None) -> SystemBackend | None:
        """Return the supervisor that runs a unit; None where it is the daemon's own, by its state there."""
        named = self._names().get(name)
        if named == "own" or (own or super().state(name)).state in ("running", "stale"):
            return None
        if named is not None:
            if named not in self._others:
                raise unreachable(named, "it is not on this system, or its settings lead nowhere.")
            return self._others[named]
        found = self._found.get(name)
        if found is None or time.monotonic() - found.at > LOOK_AGAIN_S:
            found = _Found(self._look(name), time.monotonic())
            self._found[name] = found
        return found.backend

    def _look(self, name: str) -> SystemBackend | None:
        for which, backend in self._others.items():
            try:
                if self._ask(backend, partial(backend.knows, name)):
                    _log.info("service_of_another", name=name, backend=which)
                    return backend
            except MahavishnuError as error:
                _log.info("backend_not_asked", backend=which, code=error.code)
        return None

    def _ask[T](self, backend: SystemBackend, question: Callable[[], T]) -> T:
        """
        Ask another supervisor about a unit, for a moment: nothing else is done meanwhile.

        One that says nothing is left alone for a while, and counts as one that cannot be reached.
        """
        which = next(name for name, each in self._others.items() if each is backend)
        silent = unreachable(which, f"it did not answer within {ANSWERS_S:g} s.")
        if time.monotonic() < self._silent_until.get(which, 0.0):
            raise silent
        answer: Future[T] = Future()

        def ask() -> None:
            try:
                answer.set_result(question())
            except Exception as error:  # noqa: BLE001 - it is raised where it was asked for
                answer.set_exception(error)

        threading.Thread(target=ask, daemon=True).start()
        try:
            return answer.result(ANSWERS_S)
        except TimeoutError:
            self._silent_until[which] = time.monotonic() + LOOK_AGAIN_S
            raise silent from None

    def _plain(self, unit: Unit) -> Unit:
        """Return a unit with all that it sees of the environment, to be written into a file of another program."""
        environment = self._environment_of(unit)
        if environment.secrets:
            raise UsageError(
                f"{unit.name} takes a key from elsewhere, and no other program's file may hold that.",
                hint="Let the daemon run it: set its `backend` to own.",
                code="service.backend_cannot",
            )
        variables = (f"{key}={value}" for key, value in environment.variables.items())
        return structs.replace(unit, environment=tuple(variables))
