"""What was forgotten, for as long as it can be restored."""

from mahavishnu.database.migrations.script import run_sql

revision = "0005"
down_revision = "0003"


def upgrade() -> None:
    """Add the two tables."""
    run_sql("0005_forgetting.sql")
