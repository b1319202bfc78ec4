"""The OpenAPI document as a page for people: plain HTML, no script, nothing fetched from elsewhere."""

from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 54rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin: 2.5rem 0 .3rem; font-size: 1.15rem; border-top: 1px solid var(--line); padding-top: 1.2rem; }
code { font: .9em/1.4 ui-monospace, monospace; background: var(--soft); padding: .1em .3em; border-radius: 4px; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; font-size: .92rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } nav a { margin-right: 1rem; } summary { cursor: pointer; }
"""


def render_page(document: dict[str, Any]) -> str:
    """Return the page of an OpenAPI document as `describe_api` makes it."""
    schemas = document["components"]["schemas"]
    routes = [
        (method.upper(), path, described)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    ]
    links = "".join(
        f'<a href="#{d["operationId"]}">{escape(d["summary"])}</a> ' for _, _, d in routes
    )
    info = document["info"]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width">'
        f"<title>{escape(info['title'])} HTTP API</title><style>{_STYLE}</style>"
        f"<h1>{escape(info['title'])} HTTP API <small>{escape(info['version'])}</small></h1>"
        f"<p>{escape(info['description'])}</p><nav>{links}</nav>"
        + "".join(_route(*route, schemas) for route in routes)
        + "".join(
            f'<h2 id="{name}">{name}</h2><p>{escape(schema.get("description", ""))}</p>'
            + _table("Field", _fields(schema))
            for name, schema in schemas.items()
        )
        + "</html>"
    )


def _route(method: str, path: str, described: dict[str, Any], schemas: dict[str, Any]) -> str:
    parts = [
        f'<h2 id="{described["operationId"]}">{escape(described["summary"])}</h2>',
        f"<p><code>{method} {escape(path)}</code></p><p>{escape(described['description'])}</p>",
    ]
    parameters = described.get("parameters", [])
    if parameters:
        rows = [
            (p["name"], p["in"], p.get("schema") or p["content"]["application/json"]["schema"],
             p["required"], p.get("description", ""))
            for p in parameters
        ]  # fmt: skip
        parts.append(_table("Parameters", rows))
    if "requestBody" in described:
        [(kind, body)] = described["requestBody"]["content"].items()
        schema = _resolve(body.get("x-itemSchema") or body["schema"], schemas)
        parts.append(_table(f"Body ({kind})", _fields(schema)))
    [(kind, answer)] = described["responses"]["200"]["content"].items()
    shown = answer.get("x-itemSchema") or answer["schema"]
    links = " or ".join(_link(each) for each in shown.get("oneOf", [shown]))
    parts.append(
        f'<p>Answer ({kind}): {links}. Anything but 2xx: <a href="#FailureBody">FailureBody</a></p>'
    )
    return "".join(parts)


def _link(schema: dict[str, Any]) -> str:
    name = kind_of(schema)
    return f'<a href="#{name}">{name}</a>'


def _fields(schema: dict[str, Any]) -> list[tuple[str, str, dict[str, Any], bool, str]]:
    required = schema.get("required", [])
    return [
        (name, "", field, name in required, field.get("description", ""))
        for name, field in schema.get("properties", {}).items()
    ]


def _table(title: str, rows: list[tuple[str, str, dict[str, Any], bool, str]]) -> str:
    if not rows:
        return f"<p>{escape(title)}: nothing.</p>"
    lines = "".join(
        f"<tr><td><code>{escape(name)}</code>{' ' + place if place else ''}"
        f"<td>{escape(kind_of(schema))}<td>{'required' if required else ''}"
        f"<td>{escape(text)}</tr>"
        for name, place, schema, required, text in rows
    )
    return f"<table><tr><th>{escape(title)}<th>type<th><th></tr>{lines}</table>"


def kind_of(schema: dict[str, Any]) -> str:
    """Return a schema in a few words."""
    if "anyOf" in schema:
        return " or ".join(kind_of(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {kind_of(schema.get('items', {}))}"
    bounds = [str(schema[name]) for name in ("minimum", "maximum") if name in schema]
    return f"{schema.get('format', kind)}{' ' + ' to '.join(bounds) if bounds else ''}"


def _resolve(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    resolved: dict[str, Any] = schemas[name] if name else schema
    return resolved
