"""Let another database role take part; what it may see is row-level security's business."""

from mahavishnu.base.errors import Forbidden, NotFound
from mahavishnu.database.pool import Connection, DriverConnection


async def grant_member(connection: DriverConnection, role: str) -> None:
    """
    Grant `role` what everyday work needs, on present and future tables; no DDL.

    Raises:
        NotFound: there is no such role.
        Forbidden: the tables are not this user's to share.
    """
    if not await connection.fetchval(
        "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role
    ):
        raise NotFound(
            f"There is no database role {role!r}.",
            hint="Create it first: CREATE ROLE name LOGIN",
            code="database.no_role",
        )
    quoted = await connection.fetchval("SELECT quote_ident($1)", role)
    rights = "SELECT, INSERT, UPDATE, DELETE"
    async with connection.transaction():
        await connection.execute(
            f"""
            GRANT USAGE ON SCHEMA public TO {quoted};
            GRANT {rights} ON ALL TABLES IN SCHEMA public TO {quoted};
            REVOKE INSERT, UPDATE, DELETE ON alembic_version, embedding_models FROM {quoted};
            ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT {rights} ON TABLES TO {quoted};
            """
        )
        # Who has rights but may not pass them on gets a warning from PostgreSQL, not an error.
        if not await connection.fetchval(
            "SELECT has_schema_privilege($1, 'public', 'USAGE') "
            "AND has_table_privilege($1, 'memories', 'SELECT, INSERT')",
            role,
        ):
            raise Forbidden(
                "This user may not share the database.",
                hint="Run this as the owner of the tables.",
                code="database.rights",
            )


async def require_founder(connection: Connection) -> None:
    """
    Refuse a role that may not register the database's first model and make the table of its vectors.

    Raises:
        Forbidden: everyday rights, which `grant_member` gives, do not suffice for that.
    """
    if not await connection.fetchval(
        "SELECT has_table_privilege('embedding_models', 'INSERT') "
        "AND has_table_privilege('memories', 'REFERENCES') "
        "AND has_schema_privilege('public', 'CREATE')"
    ):
        raise Forbidden(
            "This database has no vectors yet, and this user may not make their table.",
            hint="Its owner must store one memory with an embedder first; "
            "then run: mahavishnu memory embed",
            code="embedding.owner_first",
        )
