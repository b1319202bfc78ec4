"""Where things live on disk. Functions only; nothing is created here but by `private_folder`."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from mahavishnu.base.errors import NotFound, UsageError

APP = "mahavishnu"


@dataclass(frozen=True)
class Locations:
    """The roots of configuration, data and state; all below `MAHAVISHNU_HOME` where it is set."""

    config: Path
    data: Path
    state: Path

    @property
    def user_settings(self) -> Path:
        """The user's own settings file."""
        return self.config / "mahavishnu.yaml"

    @property
    def trusted_directories(self) -> Path:
        """The list of directories whose `settings/` may be read."""
        return self.config / "trusted.json"

    @property
    def models(self) -> Path:
        """Folder of downloaded or imported embedding models."""
        return self.data / "models"

    @property
    def postgres(self) -> Path:
        """Folder of the embedded PostgreSQL: cluster, lock and lease files."""
        return self.data / "postgres"

    @property
    def backups(self) -> Path:
        """Folder of backup sets, unless the settings name another place."""
        return self.data / "backups"

    @property
    def daemon_lock(self) -> Path:
        """Locked by the daemon of this data directory; says where it listens."""
        return self.data / "daemon.lock"

    @property
    def daemon_log(self) -> Path:
        """What a detached daemon says."""
        return self.state / "daemon.log"

    @property
    def recorder_log(self) -> Path:
        """What the process says that writes down the runs of flows."""
        return self.state / "recorder.log"

    @property
    def token(self) -> Path:
        """The daemon's bearer token; beside no data, so that no backup takes it along."""
        return self.state / "token"


def expanded(text: str) -> Path:
    """Return a path with the home folder that its `~` or `~USER` means; raises `UsageError` where there is none."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UsageError(
            f"There is no home folder for {text}.",
            hint="Write the whole path.",
            code="settings.no_home",
        ) from error


def locate(environ: Mapping[str, str]) -> Locations:
    """Resolve the three roots from `MAHAVISHNU_HOME`, else from the platform's conventions."""
    home = environ.get("MAHAVISHNU_HOME")
    if home:
        root = expanded(home)
        if not root.is_absolute():
            raise UsageError(
                f"MAHAVISHNU_HOME is not an absolute path: {home}",
                hint="Set it to a full path, for example /srv/mahavishnu.",
                code="settings.home_not_absolute",
            )
        return Locations(config=root / "config", data=root / "data", state=root / "state")
    dirs = platformdirs.PlatformDirs(APP, appauthor=False)
    return Locations(
        config=Path(dirs.user_config_dir),
        data=Path(dirs.user_data_dir),
        state=Path(dirs.user_state_dir),
    )


def private_folder(path: Path) -> Path:
    """
    Create `path` and its parents with mode 0700 and return it; an existing one keeps its mode.

    Raises:
        UsageError: `settings.not_a_folder`, where a file or a link to nothing is in the way.
    """
    missing = [p for p in (path, *path.parents) if not p.exists()]
    with contextlib.suppress(FileExistsError, NotADirectoryError):
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
    if not path.is_dir():
        culprit = next(p for p in (path, *path.parents) if os.path.lexists(p))
        raise UsageError(
            f"{culprit} is not a folder, nor a link to one.",
            hint="Remove it, or choose another place, for example by MAHAVISHNU_HOME.",
            code="settings.not_a_folder",
        )
    return path


def working_folder() -> Path:
    """Return the folder that the process is in; raises `NotFound` where that was removed."""
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise NotFound(
            "The working folder does not exist any more.",
            hint="Change to one that does.",
            code="settings.no_working_folder",
        ) from error
