"""Run a migration's SQL file inside the migration's transaction."""

from importlib import resources

from alembic import op


def run_sql(name: str) -> None:
    """
    Execute the statements of `versions/<name>` on the migrating connection.

    They go to the driver as one script, because a prepared statement holds a single command.
    """
    script = resources.files(__package__).joinpath("versions", name).read_text(encoding="utf-8")
    op.get_bind().connection.dbapi_connection.run_async(  # type: ignore[union-attr]
        lambda driver: driver.execute(script)
    )
