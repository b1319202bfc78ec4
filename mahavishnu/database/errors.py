"""Turn driver and OS errors into ours: by type, SQLSTATE or constraint name, in one place."""

import contextlib
from collections.abc import Iterator

import asyncpg

from mahavishnu.base.errors import (
    Conflict,
    Corrupt,
    Forbidden,
    MahavishnuError,
    NotFound,
    Unavailable,
    UsageError,
)

# constraint -> (class, code, message, hint)
CONSTRAINTS: dict[str, tuple[type[MahavishnuError], str, str, str | None]] = {
    "memories_content_size": (
        UsageError,
        "memory.content_size",
        "A memory holds between 1 byte and 1 MiB of text.",
        "Split the text, or import it as a document.",
    ),
    "memories_pkey": (
        Conflict,
        "memory.id_taken",
        "Another memory already has this id.",
        "Leave the id out, and a new one is made.",
    ),
    "memories_live_content": (
        Conflict,
        "memory.duplicate",
        "The same text is already stored there.",
        None,
    ),
    "agent_conversations_position": (
        Conflict,
        "conversation.position_taken",
        "This position of the session already holds another turn.",
        None,
    ),
    "agent_conversations_role": (
        UsageError,
        "input.role",
        "The role of a turn is user, assistant, system or tool.",
        None,
    ),
    "workflow_executions_status": (
        UsageError,
        "input.status",
        "An execution is pending, running, completed, failed, cancelled or crashed.",
        None,
    ),
    "performance_metrics_content": (
        UsageError,
        "metric.empty",
        "A metric needs a value, figures or a text.",
        None,
    ),
    "performance_metrics_unit": (
        UsageError,
        "metric.unit",
        "The value and the unit of a metric go together.",
        None,
    ),
    "workflow_executions_order": (
        UsageError,
        "execution.order",
        "An execution cannot finish before it started.",
        None,
    ),
    "projects_name_length": (
        UsageError,
        "project.name",
        "A project's name has 1 to 200 characters.",
        None,
    ),
}

# SQLSTATE (or its class of two characters) -> (class, code, message, hint)
STATES: dict[str, tuple[type[MahavishnuError], str, str, str | None]] = {
    "08": (Unavailable, "database.unreachable", "The connection to PostgreSQL was lost.", None),
    "28": (
        Forbidden,
        "database.password",
        "PostgreSQL refused the user or password.",
        "Check MAHAVISHNU_PG_USER and MAHAVISHNU_PG_PASSWORD, or the DSN.",
    ),
    "3D000": (
        NotFound,
        "database.missing",
        "The database does not exist on this server.",
        "Create it (createdb NAME), then run: mahavishnu db init",
    ),
    "42501": (
        Forbidden,
        "database.rights",
        "The database user lacks the rights for this.",
        "Ask the owner of the database to run: mahavishnu db grant ROLE",
    ),
    "42P01": (
        Conflict,
        "database.not_initialised",
        "The database does not hold the expected tables.",
        "Run: mahavishnu db upgrade",
    ),
    "42703": (
        Conflict,
        "database.not_initialised",
        "The database does not hold the expected columns.",
        "Run: mahavishnu db upgrade",
    ),
    "42704": (  # the type halfvec: no statement of ours names another thing that may be missing
        Unavailable,
        "database.no_pgvector",
        "The database lacks the pgvector extension.",
        "Run: mahavishnu db init",
    ),
    "53100": (
        Unavailable,
        "database.disk_full",
        "The disk of the database is full; nothing was changed.",
        "Free some space and try again.",
    ),
    "53300": (
        Unavailable,
        "database.too_many_connections",
        "PostgreSQL has no free connection.",
        "Lower postgresql.pool_size, or raise max_connections on the server.",
    ),
    "53": (Unavailable, "database.resources", "PostgreSQL is out of resources.", None),
    "57014": (
        Unavailable,
        "database.timeout",
        "PostgreSQL took longer than postgresql.statement_timeout.",
        "Narrow the request, or raise the setting.",
    ),
    "57P": (Unavailable, "database.unreachable", "PostgreSQL is starting or stopping.", None),
    "58": (
        Unavailable,
        "database.system",
        "PostgreSQL met an error of the operating system.",
        None,
    ),
    "42601": (UsageError, "database.statement", "The statement is not valid SQL.", None),
    "40": (Unavailable, "database.contention", "Another writer was in the way; try again.", None),
    "55P03": (Unavailable, "database.contention", "A lock could not be had in time.", None),
    "22021": (
        UsageError,
        "input.text",
        "The text holds characters that PostgreSQL cannot store.",
        "Remove NUL bytes and invalid UTF-8.",
    ),
    "22": (UsageError, "input.value", "A value is out of range or of the wrong form.", None),
    "XX001": (
        Corrupt,
        "database.corrupt",
        "PostgreSQL reports damaged data.",
        "Stop here and restore a backup.",
    ),
    "XX002": (
        Corrupt,
        "database.corrupt",
        "PostgreSQL reports a damaged index.",
        "Stop here and restore a backup, or REINDEX.",
    ),
}


# What asyncpg lets out. An InternalClientError is what it makes of a server that was killed while
# the connection was idle.
DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)


def translate(error: BaseException) -> MahavishnuError | None:
    """Return our error for a driver or OS error; None where it is not the database's business."""
    if isinstance(error, asyncpg.PostgresError):
        return _translate_server_error(error)
    if isinstance(error, asyncpg.exceptions.ClientConfigurationError):
        return UsageError(
            f"The address of PostgreSQL cannot be used: {error.args[0]}.",
            hint="Correct postgresql.dsn, or the PG* variables of the environment.",
            code="settings.invalid_dsn",
        )
    if isinstance(error, asyncpg.InterfaceError):
        if isinstance(error, ValueError | TypeError):  # the driver refuses an argument
            return UsageError("A value has the wrong form for the database.", code="input.value")
        return Unavailable("The connection to PostgreSQL was lost.", code="database.unreachable")
    if isinstance(error, asyncpg.exceptions.TargetServerAttributeNotMatched):
        return Unavailable(
            "No server of the address is what its target_session_attrs asks for.",
            code="database.unreachable",
        )
    if isinstance(error, asyncpg.InternalClientError):
        return Unavailable("The connection to PostgreSQL was lost.", code="database.unreachable")
    if isinstance(error, TimeoutError):
        return Unavailable(
            "PostgreSQL did not answer in time.",
            hint="Try again; where it stays so, the server hangs or has too much to do. "
            "Where it is: mahavishnu db url",
            code="database.timeout",
        )
    if isinstance(error, OSError):
        return Unavailable(
            f"PostgreSQL cannot be reached ({error.strerror or str(error) or type(error).__name__}).",
            hint="Check the address with: mahavishnu db url",
            code="database.unreachable",
        )
    return None


def _translate_server_error(error: asyncpg.PostgresError) -> MahavishnuError:
    known = CONSTRAINTS.get(getattr(error, "constraint_name", None) or "")
    if known is None:
        state = error.sqlstate or ""
        known = STATES.get(state) or STATES.get(state[:3]) or STATES.get(state[:2])
    if known is None:
        return MahavishnuError(
            f"PostgreSQL refused the statement (SQLSTATE {error.sqlstate}).",
            hint="This is a bug; the log holds the details.",
            code="database.error",
        )
    kind, code, message, hint = known
    return kind(message, hint=hint, code=code)


def _translate_borrowed(error: asyncpg.PostgresError, ours: MahavishnuError) -> MahavishnuError:
    state, hint = error.sqlstate or "", "PostgreSQL's own words are in the error's __cause__."
    if state.startswith("42") and ours.code != "database.rights":
        return UsageError(
            f"The statement does not fit the database (SQLSTATE {state}).",
            hint=hint,
            code="database.statement",
        )
    ours.hint = hint if ours.code == "database.error" else ours.hint
    return ours


def is_lost_connection(error: BaseException) -> bool:
    """Tell whether the same call may succeed on a new connection."""
    ours = translate(error)
    return ours is not None and ours.code == "database.unreachable"


def is_contention(error: BaseException) -> bool:
    """Tell whether the server rolled the work back because of another writer."""
    ours = translate(error)
    return ours is not None and ours.code == "database.contention"


@contextlib.contextmanager
def translated_statements() -> Iterator[None]:
    """
    Raise the server's errors from a borrower's block as ours; the borrower's own ones pass.

    A table that is missing, or a constraint that holds, says something about the borrower's SQL here,
    not about our schema or our code.
    """
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        ours = translate(error)
        if isinstance(error, asyncpg.PostgresError) and ours is not None:
            ours = _translate_borrowed(error, ours)
        if ours is None:
            raise
        raise ours from error


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise driver and OS errors from the block as ours; everything else passes."""
    try:
        yield
    except MahavishnuError:
        raise
    except DRIVER_ERRORS as error:
        ours = translate(error)
        if ours is None:
            raise
        raise ours from error
