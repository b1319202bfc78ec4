"""`/api/v1`: each operation as a route, and many memories at once as lines of JSON."""

from collections.abc import Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from mahavishnu.app import App
from mahavishnu.base.errors import MahavishnuError, UsageError
from mahavishnu.interfaces.http.answers import HttpError, answer, media_type, read_json, refuse
from mahavishnu.interfaces.http.batch import BatchEndpoint
from mahavishnu.operations.operation import Call, Operation

SOURCE = "http"  # source system of what is stored over HTTP
PREFIX = "/api/v1"


def build_routes(app: App, operations: Sequence[Operation[Any, Any]]) -> list[Route]:
    """Return the routes; fixed paths stand before those with a name in them."""
    routes = [
        Route(f"{PREFIX}/memories/batch", BatchEndpoint(app, SOURCE), methods=["POST"]),
        *(
            Route(f"{PREFIX}{each.path}", _endpoint(app, each), methods=[each.method])
            for each in operations
        ),
    ]
    fixed = [route for route in routes if "{" not in route.path]
    methods: dict[str, set[str]] = {}
    for route in fixed:
        methods.setdefault(route.path, set()).update(route.methods or ())
    closed = [Route(path, _OtherMethods(allowed)) for path, allowed in methods.items()]
    return [*fixed, *closed, *(route for route in routes if "{" in route.path)]


class _OtherMethods:
    """Refuses what a fixed path does not take, which would else be looked for as a memory's id."""

    def __init__(self, allowed: set[str]) -> None:
        self._allowed = ", ".join(sorted(allowed))

    async def __call__(self, _scope: Scope, _receive: Receive, _send: Send) -> None:
        raise HTTPException(405, headers={"allow": self._allowed})


def _endpoint(app: App, operation: Operation[Any, Any]) -> Any:
    async def endpoint(request: Request) -> Response:
        request.scope.update(operation=operation.name, template=f"{PREFIX}{operation.path}")
        try:
            values = await _read(request, operation)
            asked = operation.parse(values, lenient=operation.method == "GET")
            result = await operation.run(Call(app, SOURCE), asked)
        except MahavishnuError as error:
            return refuse(error)
        return answer(result, 201 if getattr(result, "created", False) else 200)

    return endpoint


async def _read(request: Request, operation: Operation[Any, Any]) -> dict[str, Any]:
    """Return the values of a request: of its path, and of its query or its body."""
    if operation.method == "GET":
        return _read_query(request, operation) | request.path_params
    if media_type(request.headers.get("content-type", "")) != "application/json":
        raise HttpError(
            415, "The body must be JSON.", hint="Send Content-Type: application/json.",
            code="http.content_type",
        )  # fmt: skip
    values = read_json(await request.body())
    if not isinstance(values, dict):
        raise UsageError("The body must be a JSON object.", code="input.invalid")
    twice = values.keys() & request.path_params.keys()
    if twice:
        raise UsageError(f"{', '.join(twice)} is in the path already.", code="input.invalid")
    return values | request.path_params


def _read_query(request: Request, operation: Operation[Any, Any]) -> dict[str, Any]:
    """Return the words of the query by the types of the fields: lists repeat, objects are JSON."""
    kinds = {
        name: str(schema.get("type") or [each.get("type") for each in schema.get("anyOf", [])])
        for name, schema in operation.input_schema.get("properties", {}).items()
    }
    values: dict[str, Any] = {}
    for name in request.query_params:
        given = request.query_params.getlist(name)
        if kinds.get(name) == "array":
            values[name] = given
        elif len(given) > 1:
            raise UsageError(f"{name} is given more than once.", code="input.invalid")
        elif "object" in kinds.get(name, ""):
            values[name] = read_json(given[0].encode())
        else:
            values[name] = None if given[0] == "null" and _is_no_text(kinds, name) else given[0]
    return values


def _is_no_text(kinds: dict[str, str], name: str) -> bool:
    """Tell whether a field may be null and not a text, of which "null" is one."""
    kind = kinds.get(name, "")
    return "null" in kind and "string" not in kind
