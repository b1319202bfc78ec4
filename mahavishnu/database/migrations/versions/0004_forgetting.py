"""What was forgotten, for as long as it can be restored."""

from mahavishnu.database.migrations.script import run_sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the two tables."""
    run_sql("0004_forgetting.sql")
