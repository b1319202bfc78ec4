"""What one has stored, as JSON lines: out of one database, into another."""
