"""Addresses, statements and errors of the database, without one."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg
import pytest
from asyncpg import exceptions as pg
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.base.errors import (
    Conflict,
    Corrupt,
    Forbidden,
    MahavishnuError,
    NotFound,
    Unavailable,
    UsageError,
)
from mahavishnu.base.masking import MASK, mask_url
from mahavishnu.database import vectors
from mahavishnu.database.errors import (
    CONSTRAINTS,
    STATES,
    is_lost_connection,
    translate,
    translated,
)
from mahavishnu.database.queries import load_queries, name_of
from mahavishnu.database.target import (
    build_dsn,
    configured_target,
    database_of,
    mask_password,
    split_password,
    target_of_dsn,
    target_of_socket,
)
from mahavishnu.database.vectors import (
    IN_COLLECTIONS,
    MAX_DIMENSIONS,
    OF_MEMORIES,
    VectorTable,
)
from mahavishnu.interfaces.cli.db.shell import psql_environment
from mahavishnu.memory.models import COLLECTIONS
from tests.support.strategies import storable_text

words = st.text(st.characters(min_codepoint=33, exclude_categories=["Cs"]), min_size=1, max_size=20)


# -- addresses --


@given(st.none() | words, st.none() | words, st.none() | words, st.none() | st.integers(1, 65535))
def test_an_address_gives_its_parts_back(
    user: str | None, password: str | None, database: str | None, port: int | None
) -> None:
    dsn = build_dsn(host="db.example", port=port, database=database, user=user, password=password)
    parts = urlsplit(dsn)
    assert (parts.scheme, parts.hostname, parts.port) == ("postgresql", "db.example", port)
    assert unquote(parts.path[1:]) == (database or "")
    assert unquote(parts.username or "") == (user or "")
    assert unquote(parts.password or "") == (password or "")
    assert target_of_dsn(dsn).url == dsn


@given(words, words)
def test_a_masked_address_holds_no_password(user: str, password: str) -> None:
    """Whatever else is in the address is the same as if there had been another password."""
    dsn = build_dsn(host="h", port=5432, database="d", user=user, password=password)
    other = build_dsn(host="h", port=5432, database="d", user=user, password="another")
    masked = mask_password(dsn)
    assert masked == mask_password(other)
    assert f":{MASK}@h:5432/d" in masked
    assert mask_password(masked) == masked


@given(storable_text)
def test_whatever_is_masked_shows_no_password_of_the_query(text: str) -> None:
    masked = mask_password(f"postgresql://h/d?sslmode=require&password=hunter2&x={text}")
    assert "hunter2" not in masked


@pytest.mark.parametrize(
    ("dsn", "masked"),
    [
        ("postgresql://h/d", "postgresql://h/d"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgresql://u:w@h/d", "postgresql://u:***@h/d"),
        ("postgres://u:w@h:1,i:2/d", "postgres://u:***@h:1,i:2/d"),
        ("postgresql://:w@h/d", "postgresql://:***@h/d"),
        ("postgresql://u:w@[::1]:5432/d", "postgresql://u:***@[::1]:5432/d"),
        ("postgresql://u@/d?host=/s&PassWord=w", "postgresql://u@/d?host=/s&PassWord=***"),
        ("postgresql:///d?host=/s", "postgresql:///d?host=/s"),
        # Not an address, or a special character without its escape: nothing of it is shown.
        ("host=h password=w", MASK),
        ("postgresql://u:w#x@h/d", MASK),
        ("postgresql://u:w/x@h/d", MASK),
        ("postgresql://u:w[@h/d", MASK),
        ("postgresql://u:w@x@h/d", MASK),
        ("postgresql://u:w?x@h/d", MASK),
        ("mysql://u:w@h/d", MASK),
    ],
)
def test_passwords_are_masked_wherever_they_stand(dsn: str, masked: str) -> None:
    assert mask_password(dsn) == masked


@given(words, words)
def test_address_and_password_are_parted(user: str, password: str) -> None:
    dsn = build_dsn(host="h", port=1, database="d", user=user, password=password)
    plain = build_dsn(host="h", port=1, database="d", user=user, password=None)
    assert split_password(dsn) == (plain, password)
    assert split_password(plain) == (plain, None)
    assert split_password(f"{plain}?a=b&password=w") == (f"{plain}?a=b", "w")


def test_hosts_may_be_folders_or_version_6() -> None:
    options: Any = {"database": "d", "user": "u", "password": None}
    assert build_dsn(host="/run/pg", port=5433, **options) == (
        "postgresql://u@/d?host=%2Frun%2Fpg&port=5433"
    )
    assert build_dsn(host="::1", port=5433, **options) == "postgresql://u@[::1]:5433/d"


def test_what_is_no_address_is_refused_without_showing_it() -> None:
    for wrong in ("host=h password=hunter2", "mysql://h/d", "postgresql:/h", "postgresql://h:x/d"):
        for arguments in ((wrong,), ("postgresql://h/d", wrong)):
            with pytest.raises(UsageError) as caught:
                target_of_dsn(*arguments)
            assert caught.value.code == "settings.invalid_dsn"
            assert "hunter2" not in caught.value.message + (caught.value.hint or "")


def test_a_target_shows_no_password() -> None:
    target = target_of_dsn("postgresql://u:hunter2@pool/d", "postgresql://u:hunter3@direct/d")
    assert target.pooled and not target.embedded
    assert target.parameters["dsn"] != target.direct["dsn"]
    assert "hunter" not in repr(target) and "hunter" not in target.shown
    assert not target_of_dsn("postgresql://h/d").pooled
    local = target_of_socket("/tmp/a b")
    address = "postgresql://mahavishnu@/mahavishnu?host=%2Ftmp%2Fa%20b&port=5432"
    assert local.embedded and local.shown == address


@pytest.mark.parametrize(
    ("name", "value"),
    [("PGPORT", "6000"), ("PGSSLMODE", "verify-full"), ("PGSSLNEGOTIATION", "direct"),
     ("PGTARGETSESSIONATTRS", "nonsense"), ("PGGSSLIB", "nonsense")],
)  # fmt: skip
async def test_the_environment_does_not_lead_to_another_socket(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nobody listens there; what matters is that the driver gets as far as to the right socket."""
    monkeypatch.setenv(name, value)
    with pytest.raises(FileNotFoundError):
        await asyncpg.connect(**target_of_socket(str(tmp_path)).parameters)
    (tmp_path / ".s.PGSQL.5432").write_text("")
    with pytest.raises(ConnectionRefusedError):
        await asyncpg.connect(**target_of_socket(str(tmp_path)).direct)


def test_psql_sees_variables_of_another_server_only_beside_it() -> None:
    environ = {"PGPORT": "6000", "PGOPTIONS": "-c x=y", "PSQL_HISTORY": "h", "PATH": "p"}
    own = psql_environment(environ, embedded=True, password=None)
    assert own == {"PSQL_HISTORY": "h", "PATH": "p"}
    theirs = psql_environment(environ, embedded=False, password="w")
    assert theirs == environ | {"PGPASSWORD": "w"}


def test_a_direct_address_alone_is_refused() -> None:
    parts: Any = dict.fromkeys(("port", "user", "password")) | {"database": "mahavishnu"}
    assert configured_target(dsn=None, direct_dsn=None, host=None, **parts) is None
    direct = "postgresql://u:hunter2@direct/d"
    for host, dsn in (("pool", None), (None, "postgresql://pool/d")):
        target = configured_target(dsn=dsn, direct_dsn=direct, host=host, **parts)
        assert target is not None and target.pooled
    with pytest.raises(UsageError) as caught:
        configured_target(dsn=None, direct_dsn=direct, host=None, **parts)
    assert caught.value.code == "settings.invalid_dsn"
    assert "direct_dsn" in caught.value.message and "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("dsn", "database"),
    [
        ("postgresql://h/a%20b", "a b"),
        ("postgresql://h/?dbname=d", "d"),
        ("postgresql://u@h", None),
        ("postgresql://u@h/?sslmode=require", None),
    ],
)
def test_the_database_of_an_address(dsn: str, database: str | None) -> None:
    assert database_of(dsn) == database


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("http://localhost:11434", "http://localhost:11434"),
        ("http://me:w@10.0.0.1/x", "http://***@10.0.0.1/x"),
        ("https://w@h", "https://***@h"),
        ("me:w@h:1", "***@h:1"),
        ("http://me:w/#?@h", "http://***@h"),
        ("http://me:p@w@h", "http://***@h"),
        ("http://me:a/w@h", "http://***@h"),
        ("https://h/v1?key=w", "https://h/v1?***"),
    ],
)
def test_names_and_passwords_of_a_service_are_masked(url: str, masked: str) -> None:
    assert mask_url(url) == masked


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("", ""),
        ("sslmode=require", "sslmode=require"),
        ("sslmode=require&channel_binding=prefer&connect_timeout=10", "sslmode=require"),
        ("keepalives=1&keepalives_idle=30&application_name=a", ""),
        ("ssl=true", "sslmode=require"),
        ("options=-c%20work_mem%3D5MB&gssencmode=disable", "options=-c%20work_mem%3D5MB"),
        ("host=/run/pg&port=1,2&target_session_attrs=any", "host=/run/pg&port=1,2&target_session_attrs=any"),
        ("sslrootcert=/etc/ca.pem&sslmode=verify%2Dfull", "sslrootcert=/etc/ca.pem&sslmode=verify%2Dfull"),
    ],
)  # fmt: skip
def test_the_driver_gets_the_parameters_it_acts_on(query: str, kept: str) -> None:
    dsn = f"postgresql://u:w@h/d?{query}" if query else "postgresql://u:w@h/d"
    target = target_of_dsn(dsn)
    wanted = f"postgresql://u:w@h/d?{kept}" if kept else "postgresql://u:w@h/d"
    assert target.parameters == target.direct == {"dsn": wanted}
    assert target.url == dsn  # psql knows them all


@pytest.mark.parametrize(
    ("query", "says", "hint"),
    [
        ("sslmode=require&channel_binding=require", "channel_binding=require", "verify-full"),
        ("gssencmode=require", "gssencmode=require", "Take it out"),
        ("require_auth=scram-sha-256", "require_auth", "Take it out"),
        ("hostaddr=192.0.2.1", "hostaddr", "Take it out"),
        ("sslrootcert=system", "sslrootcert=system", "a file"),
        ("sslmod=require", "'sslmod'", "sslmode?"),
        ("database=x", "'database'", "options="),
        ("pgbouncer=true", "'pgbouncer'", "options="),
        ("SSLMODE=require", "'SSLMODE'", "options="),
        ("sslmode=on", "wrong sslmode", "verify-ca"),
        ("target_session_attrs=master", "wrong target_session_attrs", "primary"),
        ("port=x", "wrong port", ""),
    ],
)
def test_a_parameter_that_cannot_be_honoured_is_refused(query: str, says: str, hint: str) -> None:
    for name, addresses in (
        ("dsn", (f"postgresql://u:hunter2@h/d?{query}",)),
        ("direct_dsn", ("postgresql://h/d", f"postgresql://u:hunter2@h/d?{query}")),
    ):
        with pytest.raises(UsageError) as caught:
            target_of_dsn(*addresses)
        assert caught.value.code == "settings.invalid_dsn"
        assert f"postgresql.{name} " in caught.value.message and says in caught.value.message
        assert hint in (caught.value.hint or "") and "hunter2" not in caught.value.message


# -- statements over vectors --


@pytest.mark.parametrize(
    ("model_no", "dimensions"),
    [(0, 8), (-1, 8), ("1; DROP TABLE memories", 8), (None, 8), (1.0, 8),
     (1, 0), (1, MAX_DIMENSIONS + 1), (1, "8"), (1, 8.0), (1, None)],
)  # fmt: skip
def test_nothing_but_two_bounded_integers_gets_into_a_statement(
    model_no: Any, dimensions: Any
) -> None:
    with pytest.raises(ValueError, match="must be"):
        VectorTable(model_no, dimensions)


@given(st.integers(1, 2**31), st.integers(1, MAX_DIMENSIONS))
def test_statements_differ_by_the_two_integers_only(model_no: int, dimensions: int) -> None:
    def statements(table: VectorTable) -> list[str]:
        return [
            table.create(), table.nearest(), table.nearest(IN_COLLECTIONS), table.add_rows(),
            table.nearest(exact=True), table.nearest(OF_MEMORIES, exact=True), table.nearest_filtered("true"),
            table.similarities(), table.drop_rows(),
        ]  # fmt: skip

    for made, plain in zip(
        statements(VectorTable(model_no, dimensions)), statements(VectorTable(1, 1)), strict=True
    ):
        back = made.replace(f"embeddings_{model_no}", "embeddings_1")
        assert back.replace(f"halfvec({dimensions})", "halfvec(1)") == plain


def test_exact_searches_do_not_walk_the_graph() -> None:
    table = VectorTable(1, 8)
    for exact in (table.nearest(exact=True), table.nearest(OF_MEMORIES, exact=True)):
        assert "ORDER BY (embedding <#> $1) + 0" in exact
    for walked in (table.nearest(), table.nearest(IN_COLLECTIONS), table.nearest_filtered("true")):
        assert "ORDER BY embedding <#> $1 LIMIT" in walked


def test_every_search_in_scopes_names_them() -> None:
    table = VectorTable(1, 8)
    for statement in (table.nearest(), table.nearest(IN_COLLECTIONS), table.nearest(exact=True),
                      table.nearest_filtered("true")):  # fmt: skip
        assert re.search(r"scope_no = ANY \(\$3::integer\[\]\)", statement)


def test_there_is_a_partition_for_every_collection() -> None:
    assert set(vectors.COLLECTION_NAMES) == set(COLLECTIONS)
    script = VectorTable(3, 8).create()
    for name in COLLECTIONS:
        assert f"FOR VALUES IN ('{name}')" in script
        assert f"follow_scopes('embeddings_3_{name}')" in script
    assert "follow_scopes('embeddings_3')" in script


# -- queries --

SQL = Path(vectors.__file__).parent / "sql"


@pytest.mark.parametrize("name", sorted(path.stem for path in SQL.glob("*.sql")))
def test_every_query_has_a_name_a_purpose_and_one_statement(name: str) -> None:
    queries = load_queries(name)
    assert queries
    assert queries is load_queries(name)
    for heading, query in queries.items():
        named, comment, *_ = query.splitlines()
        assert named == f"-- {heading} --" and name_of(query) == heading
        assert comment.startswith("-- ") and comment[3].isupper()
        body = re.sub(r"--.*|'[^']*'", "", query)
        assert body.count(";") == 1 and body.rstrip().endswith(";")


def test_a_name_given_twice_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql/twice.sql").write_text("-- a --\nSELECT 1;\n-- a --\nSELECT 2;\n")
    monkeypatch.setattr("mahavishnu.database.queries.resources.files", lambda _: tmp_path)
    with pytest.raises(ValueError, match="twice"):
        load_queries("twice")


# -- errors --


def server_error(sqlstate: str, *, constraint: str | None = None, message: str = "m") -> Any:
    fields = {"S": "ERROR", "V": "ERROR", "C": sqlstate, "M": message}
    return pg.PostgresError.new(fields | ({"n": constraint} if constraint else {}))


@pytest.mark.parametrize(
    ("sqlstate", "kind", "code"),
    [
        ("08006", Unavailable, "database.unreachable"),
        ("28P01", Forbidden, "database.password"),
        ("28000", Forbidden, "database.password"),
        ("3D000", NotFound, "database.missing"),
        ("42501", Forbidden, "database.rights"),
        ("42P01", Conflict, "database.not_initialised"),
        ("42703", Conflict, "database.not_initialised"),
        ("42704", Unavailable, "database.no_pgvector"),
        ("53100", Unavailable, "database.disk_full"),
        ("53300", Unavailable, "database.too_many_connections"),
        ("53200", Unavailable, "database.resources"),
        ("57014", Unavailable, "database.timeout"),
        ("57P01", Unavailable, "database.unreachable"),
        ("57P03", Unavailable, "database.unreachable"),
        ("58030", Unavailable, "database.system"),
        ("40001", Unavailable, "database.contention"),
        ("40P01", Unavailable, "database.contention"),
        ("55P03", Unavailable, "database.contention"),
        ("22021", UsageError, "input.text"),
        ("22P05", UsageError, "input.value"),
        ("22003", UsageError, "input.value"),
        ("XX001", Corrupt, "database.corrupt"),
        ("XX002", Corrupt, "database.corrupt"),
        ("XX000", MahavishnuError, "database.error"),
        ("42601", UsageError, "database.statement"),
        ("23505", MahavishnuError, "database.error"),
        ("99999", MahavishnuError, "database.error"),
    ],
)
def test_a_state_becomes_a_class_and_a_code(
    sqlstate: str, kind: type[MahavishnuError], code: str
) -> None:
    ours = translate(server_error(sqlstate))
    assert type(ours) is kind
    assert ours is not None and ours.code == code


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_a_constraint_is_known_by_its_name_whatever_the_state(constraint: str) -> None:
    kind, code, message, hint = CONSTRAINTS[constraint]
    for sqlstate in ("23505", "23514"):
        ours = translate(server_error(sqlstate, constraint=constraint))
        assert type(ours) is kind
        assert ours is not None and (ours.code, ours.message, ours.hint) == (code, message, hint)


def test_constraints_are_those_of_the_schema() -> None:
    scripts = sorted((SQL.parent / "migrations/versions").glob("*.sql"))
    schema = "".join(script.read_text() for script in scripts)
    for constraint in CONSTRAINTS:
        table = constraint.removesuffix("_pkey")
        assert constraint in schema or f"CREATE TABLE {table} (" in schema, constraint


@given(st.sampled_from(sorted(STATES)), storable_text)
def test_the_servers_words_never_decide_nor_show(state: str, words: str) -> None:
    """Messages come in the server's language and hold users' data."""
    sqlstate = state.ljust(5, "9")
    silent = translate(server_error(sqlstate, message=""))
    telling = translate(server_error(sqlstate, message=f"duplicate key password {words}"))
    assert silent is not None and telling is not None
    assert (type(silent), silent.code, silent.message) == (
        type(telling),
        telling.code,
        telling.message,
    )


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (asyncpg.InterfaceError("closed"), Unavailable, "database.unreachable"),
        (pg.DataError("value out of range"), UsageError, "input.value"),
        (pg._base.UnknownPostgresError("?"), MahavishnuError, "database.error"),
        (TimeoutError(), Unavailable, "database.timeout"),
        (ConnectionRefusedError(111, "Connection refused"), Unavailable, "database.unreachable"),
        (FileNotFoundError(2, "No such file"), Unavailable, "database.unreachable"),
        (OSError("odd"), Unavailable, "database.unreachable"),
        (ValueError("ours"), None, None),
        (KeyboardInterrupt(), None, None),
    ],
    ids=repr,
)
def test_driver_and_system_errors(
    error: BaseException, kind: type[MahavishnuError] | None, code: str | None
) -> None:
    ours = translate(error)
    assert (None if ours is None else type(ours)) is kind
    assert (None if ours is None else ours.code) == code
    assert is_lost_connection(error) is (code == "database.unreachable")


def test_a_block_raises_ours_with_the_cause_and_lets_the_rest_pass() -> None:
    cause = server_error("53300")
    with pytest.raises(Unavailable) as caught, translated():
        raise cause
    assert caught.value.__cause__ is cause
    own = NotFound("mine", code="x.y")
    with pytest.raises(NotFound) as kept, translated():
        raise own
    assert kept.value is own
    with pytest.raises(ZeroDivisionError), translated():
        raise ZeroDivisionError
    with translated():
        pass
