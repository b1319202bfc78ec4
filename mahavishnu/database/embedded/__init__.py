"""The embedded PostgreSQL: its programs, the keeper that owns the server, and its users' leases."""
