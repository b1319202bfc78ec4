"""Who follows the change feed, how far each is, and what could not be delivered."""

from mahavishnu.database.migrations.script import run_sql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the tables of targets and dead letters, and find changes by their transaction."""
    run_sql("0005_outbox.sql")
