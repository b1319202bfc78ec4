"""The daemon's HTTP API."""

COMMANDS = {
    "docs": "Write the API as an HTML page.",
    "openapi": "Write the API as an OpenAPI 3.1 document (JSON).",
}
