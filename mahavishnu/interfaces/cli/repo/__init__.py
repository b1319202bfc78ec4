"""Ingest repositories, and ask their code and documents."""

COMMANDS = ("add", "graph", "ingest", "list", "query", "remove", "status")
