"""How people, programs and models reach the operations: command line, HTTP, MCP and Python."""
