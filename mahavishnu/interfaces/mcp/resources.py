"""Memories as resources: `memory://{id}` reads one, the list shows the newest by pages."""

from urllib.parse import unquote

import mcp_types as types
import msgspec

from mahavishnu.app import App
from mahavishnu.base.errors import NotFound
from mahavishnu.operations.bodies import memory_body
from mahavishnu.operations.cursors import read_cursor, write_cursor
from mahavishnu.operations.refusals import brief

SCHEME = "memory"
PAGE = 50
TITLE_LENGTH = 80


def template() -> types.ResourceTemplate:
    return types.ResourceTemplate(
        name="memory",
        title="A memory",
        uri_template=f"{SCHEME}://{{id}}",
        description="A memory by its id, whole or the 8 hex digits it ends with. It is read whole, "
        "up to 1 MiB; get_memory reads it in parts.",
        mime_type="text/plain",
    )


async def list_resources(app: App, cursor: str | None) -> types.ListResourcesResult:
    """Return a page of the newest memories."""
    # One more than is shown tells whether there is a next page.
    found = await app.memories.list_heads(limit=PAGE + 1, after=read_cursor(cursor))
    shown = found[:PAGE]
    return types.ListResourcesResult(
        resources=[
            types.Resource(
                name=str(memory.id),
                title=_title(memory.beginning),
                uri=f"{SCHEME}://{memory.id}",
                description=f"{memory.memory_type}, {memory.occurred_at:%Y-%m-%d}"
                + (f", project {memory.project}" if memory.project else ""),
                mime_type="text/plain",
                size=memory.size,
            )
            for memory in shown
        ],
        next_cursor=write_cursor(shown[-1].occurred_at, shown[-1].memory_no)
        if len(found) > PAGE
        else None,
    )


async def read_resource(app: App, uri: str) -> types.ReadResourceResult:
    """Return a memory's content; the rest is in `_meta`. Raises `NotFound`."""
    scheme, _, rest = uri.partition("://")
    reference = unquote(rest).strip("/")
    if scheme.lower() != SCHEME or not reference:
        raise NotFound(
            f"{brief(uri)!r} is no resource of this server.",
            hint=f"Memories are {SCHEME}://ID.",
            code="mcp.no_resource",
        )
    found = await app.memories.get(await app.memories.resolve(reference))
    about = msgspec.to_builtins(memory_body(found))
    content = about.pop("content")
    return types.ReadResourceResult(
        contents=[
            types.TextResourceContents(
                uri=uri,
                mime_type="text/plain",
                text=content,
                _meta={"mahavishnu/memory": about},
            )
        ]
    )


def _title(beginning: str) -> str:
    line = " ".join(beginning.split())
    return line if len(line) <= TITLE_LENGTH else f"{line[: TITLE_LENGTH - 1].rstrip()}…"
