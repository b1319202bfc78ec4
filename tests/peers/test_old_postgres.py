"""Debian's PostgreSQL 15, of this machine or unpacked: a server that is too old is refused by name."""

from pathlib import Path

import pytest

from tests.support.command import Command
from tests.support.external import ExternalServer, served
from tests.support.missing_programs import skip_or_fail
from tests.support.peers.debian import NotFetched, fetch

pytestmark = [pytest.mark.peer, pytest.mark.postgres]

PROGRAMS = "usr/lib/postgresql/15/bin"


@pytest.mark.verifies("Debian's PostgreSQL 15, refused as too old")
def test_a_server_that_is_too_old(tmp_path: Path) -> None:
    alone = Command(tmp_path, {"MAHAVISHNU_EMBEDDING_PROVIDER": "none"})
    with served(find_server(tmp_path / "server")) as server:
        refused = alone("db", "init", "--json", MAHAVISHNU_PG_DSN=server.dsn("postgres"))
    assert server.secret not in refused.err
    assert (refused.status, refused.error["code"]) == (4, "database.too_old")
    assert "newer" in refused.error["hint"]


def find_server(folder: Path) -> ExternalServer:
    """Return a server whose programs are this machine's or out of Debian's package."""
    if (Path("/") / PROGRAMS / "postgres").exists():
        return ExternalServer(Path("/") / PROGRAMS, folder)
    try:
        found, environ = fetch("postgresql-15", f"{PROGRAMS}/postgres", f"{PROGRAMS}/initdb")
    except NotFetched as error:
        skip_or_fail(f"PostgreSQL 15: {error}")
    return ExternalServer(found.parent, folder, environ=environ)
