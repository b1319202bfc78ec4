"""The foundation: memories, their indexes, conversations, executions, metrics, change feed."""

from mahavishnu.database.migrations.script import run_sql

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create everything the first release stores."""
    run_sql("0001_foundation.sql")
