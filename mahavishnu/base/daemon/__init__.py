"""How a running daemon is found and addressed: its record, its lock, its token. No server in here."""
