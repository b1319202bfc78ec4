"""What a user pastes so that an AI client finds the memory. Nothing is written into a client here."""

from collections.abc import Mapping

from mahavishnu.ai.clients.mcp import Setup, as_json, bearer, over_stdio, start_line
from mahavishnu.ai.clients.table import CLIENTS

ANY = "json"  # a client that is not managed here
SETUPS = (*CLIENTS, ANY)


def describe_setup(
    client: str, *, url: str | None, places: Mapping[str, str], scope: str = "user"
) -> Setup:
    """
    Return the set-up of one of `SETUPS`.

    `url` is the daemon's `/mcp`, or None for stdio; `places` are the variables that say where this
    memory is, since clients hand on little of their environment. `scope` is Claude Code's word for
    who has it: `user`, or `local` for one project of the user.
    """
    if client != ANY:
        return CLIENTS[client].mcp.describe(url=url, places=places, scope=scope)
    entry = {"type": "http", "url": url, "headers": bearer()} if url else over_stdio(places)
    start = start_line(url, places)
    further = f", and start the client after: {start}" if start else ""
    how = f"for .mcp.json and others{further}"
    return Setup(client, how, as_json(entry), entry=entry, start=start)
