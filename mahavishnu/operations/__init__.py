"""What every interface offers, once: the table that MCP tools, HTTP routes and references are made of."""
