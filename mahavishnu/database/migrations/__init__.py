"""Alembic migrations: forward only, raw SQL, one transaction under an advisory lock."""
