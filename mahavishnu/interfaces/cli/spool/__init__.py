"""Writes that wait on this machine until PostgreSQL can be reached."""

COMMANDS = ("drain", "status")
