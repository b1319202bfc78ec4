"""Memory for AI clients, over the Model Context Protocol."""

COMMANDS = {
    "config": "Print what to paste into a client, so that it uses this memory; changes nothing.",
    "health": "Ask over MCP whether this memory answers; exit code 0 where it does.",
    "serve": "Serve a client at stdin and stdout.",
    "tools": "List the tools with what they are for; needs neither daemon nor database.",
}
