"""pg_dump and pg_restore: which ones fit a server, and one run of each through pipes."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mahavishnu.base.children import bound_to_this_process
from mahavishnu.base.errors import Unavailable
from mahavishnu.database.embedded.binaries import wheel_folders
from mahavishnu.database.target import split_password

_INHERITED = ("HOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")
# From this release on pg_restore sets `transaction_timeout`, which older servers refuse.
_TIMEOUT_SINCE = 17
_SYSTEM = Path("/usr/lib/postgresql")
_MAX_MESSAGE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Programs:
    """One version of the programs."""

    folder: Path
    major: int

    @contextlib.contextmanager
    def run(
        self, name: str, url: str, options: Sequence[str], *, environ: Mapping[str, str]
    ) -> Iterator["Running"]:
        """
        Run a program on the database of `url`, its password in the environment; the block feeds or reads it.

        It ends with the block.
        """
        address, password = split_password(url)
        environment = dict(environ) | {"PATH": os.defpath, "LC_ALL": "C"}
        if password:
            environment["PGPASSWORD"] = password
        with self._start([f"--dbname={address}", *options], name, environment) as running:
            yield running

    @contextlib.contextmanager
    def read_archive(self) -> Iterator["Running"]:
        """Run pg_restore without a database: it reads all of an archive and discards it."""
        with self._start([f"--file={os.devnull}"], "pg_restore", {"LC_ALL": "C"}) as running:
            yield running

    @contextlib.contextmanager
    def _start(
        self, options: Sequence[str], name: str, environment: Mapping[str, str]
    ) -> Iterator["Running"]:
        writes = name == "pg_dump"
        with tempfile.TemporaryFile() as messages:
            process = subprocess.Popen(
                bound_to_this_process([self.folder / name, *options]),
                env=dict(environment),
                stdin=subprocess.DEVNULL if writes else subprocess.PIPE,
                stdout=subprocess.PIPE if writes else subprocess.DEVNULL,
                stderr=messages,
                start_new_session=True,  # Ctrl-C is ours to handle
            )
            try:
                yield Running(process, messages)
            finally:
                process.kill()
                for stream in (process.stdin, process.stdout):
                    if stream is not None:
                        with contextlib.suppress(BrokenPipeError):
                            stream.close()
                process.wait()


@dataclass(frozen=True)
class Running:
    """A program that runs, and its messages."""

    process: subprocess.Popen[bytes]
    _messages: IO[bytes]

    def finish(self) -> str | None:
        """Wait for its end; return why it failed, or None where it did not."""
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
        if self.process.wait() == 0:
            return None
        self._messages.seek(0)
        text = self._messages.read(_MAX_MESSAGE_BYTES).decode(errors="replace")
        return first_error(text) or f"it ended with {self.process.returncode}"


def first_error(text: str) -> str | None:
    """Return the first error among a program's messages, in one line and without values of rows."""
    for line in text.splitlines():
        if found := re.search(r"error: (.*)", line):
            error = re.sub(r'"[^"]*"', '"…"', found[1]) if "invalid input" in line else found[1]
            return re.sub(r"^(?:could not execute query: )?ERROR: +", "", error)[:300]
    return None


def program_environment(environ: Mapping[str, str], *, embedded: bool) -> dict[str, str]:
    """Return the programs' environment; PGPORT and the like mean another server than the embedded one."""
    return {
        name: value
        for name, value in environ.items()
        if name in _INHERITED or (name.startswith("PG") and not embedded)
    }


def find_programs(
    server: int, *, configured: Path | None, path: str, archive: int | None = None
) -> Programs:
    """
    Return the programs for a server of the major version `server`: its own, else the next newer ones.

    They are looked for in the configured folder, the installed wheel, `path` and Debian's folders.
    `archive` is the version that wrote the archive to read, which older programs cannot.

    Raises:
        Unavailable: `backup.no_programs`.
    """
    least = max(server, archive or 0)
    fitting = [
        each
        for each in _installed(configured, path)
        if each.major >= least and (server >= _TIMEOUT_SINCE or each.major < _TIMEOUT_SINCE)
    ]
    if fitting:
        return min(fitting, key=lambda each: each.major)
    if least == server:
        raise Unavailable(
            f"pg_dump and pg_restore for PostgreSQL {server} are not installed.",
            hint=f"Install the client programs of PostgreSQL {least}, or set postgresql.binaries to "
            "their folder.",
            code="backup.no_programs",
        )
    raise Unavailable(
        f"PostgreSQL {server} cannot take a backup that pg_dump {archive} made.",
        hint="Restore it to a newer server.",
        code="backup.no_programs",
    )


def _installed(configured: Path | None, path: str) -> Iterator[Programs]:
    folders = [configured, configured / "bin"] if configured else []
    folders += wheel_folders()
    found = shutil.which("pg_dump", path=path)
    folders += [Path(found).resolve().parent] if found else []
    folders += sorted(_SYSTEM.glob("*/bin"))
    for folder in folders:
        if all((folder / name).is_file() for name in ("pg_dump", "pg_restore")):
            major = _major_of(folder / "pg_dump")
            if major is not None:
                yield Programs(folder, major)


def _major_of(program: Path) -> int | None:
    try:
        answer = subprocess.run(
            [program, "--version"], env={"PATH": os.defpath, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        ).stdout  # fmt: skip
    except OSError:
        return None
    found = re.search(r"\(PostgreSQL\) (\d+)", answer)
    return int(found[1]) if found else None
