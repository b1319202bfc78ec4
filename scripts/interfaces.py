"""The reference pages of MCP and of the HTTP API, from the table of operations."""

import re
from typing import Any

from mahavishnu.interfaces.http.openapi import describe_api
from mahavishnu.interfaces.http.page import kind_of
from mahavishnu.interfaces.mcp.edge import INSTRUCTIONS
from mahavishnu.interfaces.mcp.prompts import PROMPTS
from mahavishnu.interfaces.mcp.resources import template
from mahavishnu.operations.table import OPERATIONS

_REFERRED = re.compile(r"#/components/schemas/(\w+)")
_HEAD = "Written by `make docs`; do not edit."


def render_mcp() -> str:
    """Return the page of tools, resources and prompts."""
    parts = [
        "# MCP",
        _HEAD,
        "How to connect a client: [connect AI clients](../how-to/connect-ai-clients.md). The server "
        "speaks streamable HTTP at `/mcp` of the daemon, without sessions, and stdio by "
        "`mahavishnu mcp serve --transport stdio`; the protocol of 2026-07-28, and of 2024-11-05 to "
        "2025-11-25 for clients that begin with `initialize`. Every call may be repeated.",
        "A tool that refuses gives a result with `isError` and the message, the hint and `code: CODE` "
        'as lines of text, without structured content; `_meta["mahavishnu/error"]` has the same as '
        '`{"code", "message", "hint"}`. The codes are those of '
        "[error codes](error-codes.md). What is asked of a client:",
        f"> {INSTRUCTIONS}",
        "Types that results are made of are in [HTTP API](http-api.md#types).",
        "## Tools",
    ]
    for operation in OPERATIONS:
        traits = [
            "reads only" if operation.read_only else "writes",
            *(["destructive"] if operation.destructive else []),
            *(["idempotent"] if operation.idempotent else []),
        ]
        parts += [
            f"### {operation.name}",
            f"{operation.description}",
            f"*{', '.join(traits)}*",
            _table("argument", operation.input_schema),
            _table("result", operation.output_schema),
        ]
    known = template()
    parts += [
        "## Resources",
        f"`{known.uri_template}`: {known.description} Its text is the content; the rest is in "
        "`_meta` under `mahavishnu/memory`. The list shows the newest memories by pages of 50.",
        "## Prompts",
    ]
    for prompt in PROMPTS.values():
        told = prompt.description
        arguments = ", ".join(
            f"`{a.name}`{'' if a.required else ' (optional)'}: {a.description}"
            for a in told.arguments or []
        )
        parts += [f"### {told.name}", f"{told.description} {arguments}"]
    return "\n\n".join(parts) + "\n"


def render_http() -> str:
    """Return the page of the HTTP API."""
    document = describe_api()
    schemas = document["components"]["schemas"]
    parts = [
        "# HTTP API",
        _HEAD,
        document["info"]["description"],
        "The daemon listens on 127.0.0.1 alone (`server.port`, 8680). Every route but `/health` "
        "needs `Authorization: Bearer TOKEN`. A request for another host, or from a page of another "
        "origin, is refused; there is no CORS. Bodies are JSON (`Content-Type: application/json`) "
        "of at most `server.max_body` bytes; what is empty is left out of answers. The document for "
        "programs is `GET /api/v1/openapi.json`, this page for people `GET /api/v1/docs`, and "
        "`mahavishnu api docs` writes it to a file.",
        'An error is `{"error": {"code", "message", "hint"}}` with the status of its class '
        "([error codes](error-codes.md)). 429 and 503 say in `Retry-After` when to try again.",
        "`GET /health` tells without a token whether the daemon can work (200 or 503). "
        "`GET /metrics` gives Prometheus' text format.",
    ]
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            parts += [
                f"## {told['summary']}",
                f"`{method.upper()} {path}`",
                told["description"],
            ]
            if told.get("parameters"):
                lines = [
                    _row(
                        f"`{p['name']}`",
                        p["in"],
                        kind_of(p.get("schema") or p["content"]["application/json"]["schema"]),
                        ("required. " if p["required"] else "") + p.get("description", ""),
                    )
                    for p in told["parameters"]
                ]
                head = [_row("parameter", "in", "type", "means"), "|---|---|---|---|"]
                parts.append("\n".join([*head, *lines]))
            if "requestBody" in told:
                [body] = told["requestBody"]["content"].values()
                schema = body.get("x-itemSchema") or body["schema"]
                parts.append(_table("body", _resolved(schema, schemas)))
            [answer] = told["responses"]["200"]["content"].values()
            shown = answer.get("x-itemSchema") or answer["schema"]
            for each in shown.get("oneOf", [shown]):
                parts.append(_table("answer", _resolved(each, schemas)))
    named = {name for each in schemas.values() for name in _REFERRED.findall(str(each))}
    parts.append("## Types")
    for name in sorted(named):
        parts += [
            f"### {name}",
            schemas[name].get("description", ""),
            _table("field", schemas[name]),
        ]
    return "\n\n".join(parts) + "\n"


def _table(what: str, schema: dict[str, Any]) -> str:
    fields = schema.get("properties", {})
    if not fields:
        return f"({what}: nothing)"
    required = schema.get("required", [])
    lines = [
        _row(
            f"`{name}`",
            kind_of(field),
            ("required. " if name in required and what != "result" else "")
            + field.get("description", ""),
        )
        for name, field in fields.items()
    ]
    return "\n".join([_row(what, "type", "means"), "|---|---|---|", *lines])


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    found: dict[str, Any] = schemas[name] if name else schema
    return found


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
