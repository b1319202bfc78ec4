"""Which runs of sync there were, and what became of each."""

from mahavishnu.database.migrations.script import run_sql

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create the table of runs."""
    run_sql("0008_sync_runs.sql")
