"""MCP over stdin and stdout, forwarded to the daemon or answered here."""
