"""Programs out of Debian's packages, unpacked below `.cache/peers` and never installed."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.support.missing_programs import PEERS
from tests.support.peers.alone import alone

CACHE = PEERS / "debian"


class NotFetched(Exception):
    """The package could not be had: no Debian, no network, no such package."""


def fetch(package: str, program: str, *others: str) -> tuple[Path, dict[str, str]]:
    """
    Return the path of `program` inside `package`, and the environment that it and `others` run in.

    The libraries that this machine lacks are fetched with them. Of several processes one fetches, and
    the others wait for it. Raises `NotFetched`.
    """
    folder = CACHE / package
    if not folder.exists():
        with alone(CACHE / "lock"):
            if not folder.exists():
                _fetch(package, (program, *others), folder)
    environment = _environment(folder)
    if missing := _missing_libraries(folder, (program, *others), environment):
        raise NotFetched(f"{package} lacks {', '.join(missing)}")
    return folder / program, environment


def _fetch(package: str, programs: Sequence[str], folder: Path) -> None:
    for tool in ("apt-get", "dpkg-deb", "ldd"):
        if shutil.which(tool) is None:
            raise NotFetched(f"{tool} is not here")
    with tempfile.TemporaryDirectory(dir=CACHE) as unfinished:
        root = Path(unfinished) / "root"
        depends = _unpack(package, root)
        for library in _missing_libraries(root, programs, _environment(root)):
            stem = library.partition(".so")[0].removeprefix("lib")
            for name in depends:
                known = _letters(name.removeprefix("lib"))  # libsystemd-shared has …-shared-252.so
                if _letters(stem) in _letters(name) or known in _letters(stem):
                    _unpack(name, root)
        root.rename(folder)


def _unpack(package: str, root: Path) -> list[str]:
    """Download one package and unpack it into `root`; returns the names it depends on."""
    with tempfile.TemporaryDirectory() as downloads:
        words = ["apt-get", "--quiet", "download", package]
        done = _run(words, Path(downloads))
        if done.returncode:  # the lists may be missing or old
            _run(["apt-get", "--quiet", "update"], Path(downloads))
            done = _run(words, Path(downloads))
        archives = list(Path(downloads).glob("*.deb"))
        if done.returncode or not archives:
            raise NotFetched(f"{package}: {done.stderr.strip() or done.stdout.strip()}")
        unpacked = _run(["dpkg-deb", "--extract", str(archives[0]), str(root)], Path(downloads))
        if unpacked.returncode:
            raise NotFetched(f"{package}: {unpacked.stderr.strip()}")
        fields = _run(["dpkg-deb", "--field", str(archives[0]), "Depends"], Path(downloads))
    alternatives = fields.stdout.replace("|", ",").split(",")
    return [name.split()[0] for name in alternatives if name.strip()]


def _missing_libraries(
    root: Path, programs: Sequence[str], environment: dict[str, str]
) -> list[str]:
    """Return what the programs below `root` need and this machine has not, each once."""
    done = subprocess.run(
        ["ldd", *programs], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    return sorted({line.split()[0] for line in lines if "not found" in line})


def _environment(root: Path) -> dict[str, str]:
    folders = sorted({str(path.parent) for path in root.rglob("*.so*")})
    return {"PATH": os.defpath, "LD_LIBRARY_PATH": ":".join(folders)}


def _letters(name: str) -> str:
    return "".join(letter for letter in name if letter.isalnum())


def _run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
