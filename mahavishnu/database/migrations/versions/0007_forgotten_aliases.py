"""Other ids of what is forgotten, which come back with it."""

from mahavishnu.database.migrations.script import run_sql

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Give tombstones a place for them."""
    run_sql("0007_forgotten_aliases.sql")
