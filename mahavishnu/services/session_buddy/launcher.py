"""
Starts Session-Buddy so that it keeps what it stores. Run by its path, in Session-Buddy's own interpreter.

Everything it writes is below `--home`, and it sees no variable of the user's but those in `PASSED_ON`. No package of
ours is there: nothing but the standard library, duckdb and session_buddy.
"""

import argparse
import fcntl
import importlib
import json
import logging
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

# What it needs of the environment: how to find git, and where vectors come from, which Session-Buddy itself reads.
PASSED_ON = (
    *("PATH", "LANG", "LC_ALL", "TZ"),
    *("MAHAVISHNU__LLAMA_SERVER_URL", "MAHAVISHNU__OLLAMA_URL"),
)
# Said in the instructions of the server, with an id of its data: whoever connects sees that rows stay.
KEEPS = "mahavishnu-keeps-data:"
IN_USE = 75  # the exit code where another has the data open: EX_TEMPFAIL of sysexits.h


def main(arguments: Sequence[str]) -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--home", type=Path, required=True, help="what it writes is below")
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1")
    data = parser.add_mutually_exclusive_group()
    data.add_argument("--copy", type=Path, help="a data_dir that is copied on the first start")
    data.add_argument("--data", type=Path, help="a data_dir to write in place")
    asked = parser.parse_args(arguments)
    os.umask(0o077)
    environment = clean_environment(os.environ, asked.home)
    os.environ.clear()
    os.environ.update(environment)
    folder = prepare(asked.home, asked.data)
    lock = (asked.home / "lock").open("w")  # held until the process ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if asked.copy is not None:
            copy_once(asked.copy, folder)
        folder.mkdir(parents=True, exist_ok=True)
        if asked.data is None:
            note_source(folder, asked.copy)
        for database in sorted(folder.glob("*.duckdb")):
            recover(database)
    except BlockingIOError as error:
        print(f"Another process has this data open: {error}", file=sys.stderr)
        sys.exit(IN_USE)
    serve(asked.home, asked.port, identify(folder))


def clean_environment(given: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return the variables that Session-Buddy sees: no key of the user's, and no folder."""
    return {name: given[name] for name in PASSED_ON if name in given} | {
        "HOME": str(home / "home"),
        "TMPDIR": str(home / "tmp"),
        # Without these, a page in a browser could reach it under a name of its own (DNS rebinding).
        "FASTMCP_HTTP_HOST_ORIGIN_PROTECTION": "auto",
        "FASTMCP_CHECK_FOR_UPDATES": "off",
        "SESSION_BUDDY_TOOL_PROFILE": "full",
        # Its working folder must not count as part of a repository that a parent is.
        "GIT_CEILING_DIRECTORIES": str(home),
    }


def prepare(home: Path, data: Path | None) -> Path:
    """Make its folders, enter the working one, and write the settings that are read there; returns that of the data."""
    for name in ("home", "tmp", "work/settings"):
        (home / name).mkdir(parents=True, exist_ok=True)
    folder = home / "data" if data is None else data
    os.chdir(home / "work")
    settings = json.dumps({"data_dir": str(folder)})  # JSON is YAML
    Path("settings/session-buddy.yaml").write_text(settings, encoding="utf-8")
    return folder


def copy_once(source: Path, folder: Path) -> None:
    """
    Copy the databases of `source`, which stay as they are, unless that was done; raises BlockingIOError.

    Where `folder` has other data already, the process ends and says so.
    """
    if folder.exists():
        known = _source_of(folder)
        if known.exists() and known.read_text(encoding="utf-8") != str(source):
            sys.exit(
                f"{folder} has data that is not of {source}. Move one of them away, or merge them yourself."
            )
        return
    databases = sorted(source.glob("*.duckdb"))
    if not databases:  # else it would begin with nothing, and never copy again
        sys.exit(f"There is no database of Session-Buddy in {source}.")
    with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
        root = Path(unfinished) / "data"
        root.mkdir()
        for database in databases:
            holding(database, lambda path: _copy_pair(path, root), read_only=True)
        root.rename(folder)


def _copy_pair(database: Path, root: Path) -> None:
    """Copy the log of writes first: whoever closes a file of DuckDB's gives up this process's lock on it."""
    log = wal_of(database)
    if log.exists():
        shutil.copyfile(log, root / log.name)
    shutil.copyfile(database, root / database.name)


def recover(database: Path) -> None:
    """
    Take over what an earlier run left in its log of writes (WAL), which Session-Buddy would delete.

    DuckDB cannot replay that log when it opens the file itself, since it lacks its functions at that moment; it can
    when the file is attached to a connection that is there already. A log that cannot be read even so is kept aside.
    """
    log = wal_of(database)
    try:
        holding(database, lambda _: None, read_only=False)
    except duckdb.Error as error:
        print(f"{log} cannot be read: {error}", file=sys.stderr)
        if log.exists():
            kept = Path(tempfile.mkdtemp(prefix=f"{log.name}.unread-", dir=log.parent))
            shutil.copyfile(database, kept / database.name)
            log.rename(kept / log.name)
            _identity_of(database.parent).unlink(
                missing_ok=True
            )  # rows are missing: it is other data


def identify(folder: Path) -> str:
    """Return the id of the data in a folder, made where there is none."""
    path = _identity_of(folder)
    if not path.exists():
        unfinished = path.with_suffix(".tmp")
        unfinished.write_text(uuid.uuid4().hex, encoding="ascii")
        unfinished.replace(path)
    return path.read_text(encoding="ascii")


def note_source(folder: Path, source: Path | None) -> None:
    """Note of what data in a folder was copied: nothing, where it began empty."""
    path = _source_of(folder)
    if not path.exists():
        path.write_text(str(source or ""), encoding="utf-8")


def _source_of(folder: Path) -> Path:
    return folder / "mahavishnu-copied-from"


def _identity_of(folder: Path) -> Path:
    return folder / "mahavishnu-id"


def wal_of(database: Path) -> Path:
    """Return where DuckDB keeps the writes that are not in the file yet."""
    return database.with_name(f"{database.name}.wal")


def holding(database: Path, act: Callable[[Path], None], *, read_only: bool) -> None:
    """Call `act` while no other process writes; raises BlockingIOError where one has it open."""
    mode = " (READ_ONLY)" if read_only else ""
    quoted = str(database).replace("'", "''")
    with duckdb.connect() as connection:
        connection.execute("SELECT now()")  # loads its functions
        try:
            connection.execute(f"ATTACH '{quoted}' AS held{mode}")
        except duckdb.IOException as error:
            if "lock" not in str(error):
                raise
            raise BlockingIOError(str(error)) from error
        act(database)
        if not read_only:
            connection.execute("CHECKPOINT held")


def serve(home: Path, port: int, identity: str) -> None:
    """Serve all tools over HTTP."""
    connect = duckdb.connect

    def durable(*words: Any, **named: Any) -> Any:
        connection = connect(*words, **named)
        # Nothing closes it at the end: what is written must not wait in the log.
        connection.execute("SET checkpoint_threshold = '1KB'")
        # Extensions come from this folder: otherwise each connection asks a server for one.
        connection.execute(f"SET custom_extension_repository = '{home / 'extensions'}'")
        return connection

    duckdb.connect = durable
    server = importlib.import_module("session_buddy.mcp.server")  # connects as it is told above
    # Its tools of the graph write, and then fail to log that: they answer an error for what is done.
    logging.getLogger("session_buddy.utils.error_management").setLevel(logging.WARNING)
    server.mcp.instructions = f"{server.mcp.instructions or ''}\n{KEEPS}{identity}"
    server.mcp.run(transport="http", host="127.0.0.1", port=port, path="/mcp", show_banner=False)


if __name__ == "__main__":
    main(sys.argv[1:])
