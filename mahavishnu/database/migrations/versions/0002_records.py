"""What belongs to turns, imports, executions and metrics; one readable view for each of the five tables."""

from mahavishnu.database.migrations.script import run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns, map the roles of older turns, create the views."""
    run_sql("0002_records.sql")
