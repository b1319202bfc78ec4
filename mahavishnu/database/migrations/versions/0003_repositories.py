"""Repositories that are ingested, their groups, and what they depend on."""

from mahavishnu.database.migrations.script import run_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the three tables."""
    run_sql("0003_repositories.sql")
