"""The OpenAPI document of `/api/v1`, made from the operations and their types."""

from typing import Any

import msgspec

from mahavishnu import __version__
from mahavishnu.interfaces.http.answers import FailureBody
from mahavishnu.interfaces.http.batch import LastLine, StoredLine
from mahavishnu.interfaces.http.http_api import PREFIX
from mahavishnu.interfaces.http.own_operations import API_OPERATIONS
from mahavishnu.operations.operation import Operation, Schema
from mahavishnu.operations.requests import StoreMemory

_REFERENCE = "#/components/schemas/{name}"
_ERRORS = {
    "400": "The call is wrong; nothing was done.",
    "401": "The token is missing or not the one in force.",
    "403": "Not the caller's own, or a page of another origin.",
    "404": "What was named is not there.",
    "408": "The request did not arrive in time.",
    "409": "The call contradicts what is stored.",
    "413": "More bytes than one request may have.",
    "415": "The body is of another type.",
    "421": "Meant for another host.",
    "429": "Too many requests at once; try again.",
    "500": "A fault inside, or stored data is damaged.",
    "503": "The database or the model does not answer now; try again.",
}


def describe_api() -> dict[str, Any]:
    """Return the document, as OpenAPI 3.1 has it."""
    kinds: set[Any] = {StoreMemory, FailureBody, StoredLine, LastLine}
    for operation in API_OPERATIONS:
        kinds |= {operation.request, operation.result}
    ordered = sorted(kinds, key=lambda kind: str(kind.__name__))
    _, components = msgspec.json.schema_components(ordered, ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for operation in API_OPERATIONS:
        path = paths.setdefault(f"{PREFIX}{operation.path}", {})
        path[operation.method.lower()] = _describe(operation, components)
    paths[f"{PREFIX}/memories/batch"] = {"post": _describe_batch()}
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Mahavishnu",
            "version": __version__,
            "description": "Memories of agents, repositories and workflows. Every route needs the "
            "daemon's token (`mahavishnu token show`) as a bearer token. Repeating a call whose "
            "answer was lost is safe.",
        },
        "servers": [{"url": "http://127.0.0.1:8680"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
    text = msgspec.json.encode(document).decode()
    for name in [n for n in components if f'"{_REFERENCE.format(name=n)}"' not in text]:
        del components[name]
    return document


def _describe(operation: Operation[Any, Any], components: dict[str, Schema]) -> dict[str, Any]:
    schema = components[operation.request.__name__]
    in_path = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    fields: dict[str, Schema] = schema["properties"]
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.title,
        "description": operation.description,
        "responses": {
            **{status: _answer(operation) for status in _good(operation)},
            **_errors(),
        },
    }
    parameters = [_parameter(name, fields[name], "path", required=True) for name in in_path]
    if operation.method == "GET":
        parameters += [
            _parameter(name, field, "query", required=name in schema.get("required", []))
            for name, field in fields.items()
            if name not in in_path
        ]
    else:
        body = {
            **schema,
            "properties": {n: f for n, f in fields.items() if n not in in_path},
            "required": [n for n in schema.get("required", []) if n not in in_path],
        }
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": body}},
        }
    return described | ({"parameters": parameters} if parameters else {})


def _good(operation: Operation[Any, Any]) -> list[str]:
    makes = "created" in operation.result.__struct_fields__
    return ["200", "201"] if makes else ["200"]


def _answer(operation: Operation[Any, Any]) -> dict[str, Any]:
    reference = {"$ref": _REFERENCE.format(name=operation.result.__name__)}
    text = (operation.result.__doc__ or "").strip().partition("\n")[0]
    return {"description": text, "content": {"application/json": {"schema": reference}}}


def _parameter(name: str, field: Schema, place: str, *, required: bool) -> dict[str, Any]:
    schema = {key: value for key, value in field.items() if key != "description"}
    parameter = {"name": name, "in": place, "required": required, "schema": schema}
    if "object" in str(schema.get("type", schema.get("anyOf"))):
        parameter["content"] = {"application/json": {"schema": parameter.pop("schema")}}
    return parameter | ({"description": field["description"]} if "description" in field else {})


def _errors() -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": _REFERENCE.format(name="FailureBody")}}}
    return {status: {"description": text, "content": content} for status, text in _ERRORS.items()}


def _describe_batch() -> dict[str, Any]:
    lines = {
        "oneOf": [{"$ref": _REFERENCE.format(name=name)} for name in ("StoredLine", "LastLine")]
    }
    return {
        "operationId": "store_batch",
        "summary": "Store many memories",
        "description": "A line of JSON for each memory, as store_memory takes it; a line comes back "
        "for each, while the request may still be sent. A line that cannot be stored is reported, and "
        "the others go on. The answer ends with a line of totals; one without it was cut off, and "
        "sending everything again is safe.",
        "requestBody": {
            "required": True,
            "content": {
                "application/jsonl": {
                    "schema": {"type": "string"},
                    "x-itemSchema": {"$ref": _REFERENCE.format(name="StoreMemory")},
                }
            },
        },
        "responses": {
            "200": {
                "description": "A line for each memory, and one of totals.",
                "content": {
                    "application/jsonl": {"schema": {"type": "string"}, "x-itemSchema": lines}
                },
            },
            **_errors(),
        },
    }
