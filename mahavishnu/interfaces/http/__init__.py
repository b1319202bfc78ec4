"""The daemon: one ASGI application with MCP, HTTP API, health and metrics, and what keeps it safe."""
