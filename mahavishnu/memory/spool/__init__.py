"""Writes that PostgreSQL could not take: kept on this machine, and stored in order once it can."""
