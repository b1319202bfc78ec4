"""Ids that were given out for writes in the spool, and lead to what was stored before."""

from mahavishnu.database.migrations.script import run_sql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the table."""
    run_sql("0006_spool.sql")
