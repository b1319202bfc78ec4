"""An operation: what it takes, gives and does, and what an interface has to know to offer it."""

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, reduce
from operator import or_
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    TypeAliasType,
    Union,
    get_args,
    get_origin,
)

import msgspec

from mahavishnu.base.errors import UsageError
from mahavishnu.operations.refusals import brief

if (
    TYPE_CHECKING
):  # who asks of AI clients alone needs no database, and does not wait for its driver
    from mahavishnu.app import App

type ReportProgress = Callable[[float, float | None, str], Awaitable[None]]
type Schema = dict[str, Any]
_FIELD = re.compile(r"`\$\.(\w+)")  # where msgspec says that something is wrong


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an operation takes."""

    def check(self) -> None:
        """Refuse what no open application could answer; raises `UsageError`."""


async def report_nothing(_done: float, _total: float | None, _message: str) -> None:
    """Tell nobody how far the work is."""


@dataclass(frozen=True)
class Call:
    """
    The surroundings of one call: the application, and who asks.

    `source` is the source system of what is stored without one. `report` takes (done, total, what); the
    total is None where nobody knows it.
    """

    app: "App"
    source: str
    report: ReportProgress = report_nothing


@dataclass(frozen=True)
class LocalOperation[Q: msgspec.Struct, R: msgspec.Struct]:
    """One thing that only the command line can ask for."""

    name: str
    request: type[Q]
    result: type[R]
    run: Callable[[Call, Q], Awaitable[R]]


@dataclass(frozen=True)
class Operation[Q: msgspec.Struct, R: msgspec.Struct]:
    """
    One thing that can be asked for.

    `description` is written for a model that has to choose. `path` is below `/api/v1`; what it names
    in braces is a field of the request. A `destructive` one takes `confirm`. An
    `idempotent` one leaves the same state when it is called again, so a caller may repeat it where the
    answer was lost.
    """

    name: str
    title: str
    description: str
    request: type[Q]
    result: type[R]
    run: Callable[[Call, Q], Awaitable[R]]
    method: Literal["GET", "POST"]
    path: str
    read_only: bool = False
    destructive: bool = False
    idempotent: bool = True

    @cached_property
    def input_schema(self) -> Schema:
        """JSON Schema of the request, an object at its root."""
        return object_schema(self.request)

    @cached_property
    def output_schema(self) -> Schema:
        """JSON Schema of the result, an object at its root."""
        return object_schema(self.result)

    def parse(self, values: object, *, lenient: bool = False) -> Q:
        """
        Return the request made of JSON values; `lenient` takes "5" for 5, as words in a URL are.

        Never lenient is the confirmation of what cannot be undone: true alone is true.

        Raises:
            UsageError: as `read_request`.
        """
        if self.destructive and isinstance(values, dict):
            _check_confirmation(values.get("confirm", False))
        if isinstance(values, dict):  # JSON has one kind of number: 5.0 is 5
            values = {name: _whole(value) for name, value in values.items()}
        return read_request(self.request, values, lenient=lenient)


def read_request[Q: msgspec.Struct](kind: type[Q], values: object, *, lenient: bool = False) -> Q:
    """
    Return the request made of plain values; `lenient` takes words for numbers.

    Raises:
        UsageError: what the request's own `check` says, as on the command line; where it finds nothing,
            `input.invalid`, naming the field.
    """
    try:
        return msgspec.convert(values, kind, strict=not lenient)
    except msgspec.ValidationError as error:
        if issubclass(kind, Request):
            _check_unbounded(kind, values, lenient=lenient)
        raise invalid(error, object_schema(kind)) from error


def _check_unbounded(kind: type[Request], values: object, *, lenient: bool) -> None:
    """Let a request check values of the right types that are out of bounds; raises its `UsageError`."""
    try:
        request = msgspec.convert(values, _unbounded(kind), strict=not lenient)
    except msgspec.ValidationError:
        return
    request.check()


@cache
def _unbounded(kind: type[Request]) -> type[Request]:
    """Return the same request with fields that take any value of their types."""
    fields = [
        (each.name, _plain(each.type), msgspec.field(default=each.default))
        if each.default_factory is msgspec.NODEFAULT
        else (each.name, _plain(each.type), msgspec.field(default_factory=each.default_factory))
        for each in msgspec.structs.fields(kind)
    ]
    return msgspec.defstruct(  # type: ignore[return-value]  # a subclass of `kind`
        kind.__name__, fields, bases=(kind,), frozen=True, kw_only=True, forbid_unknown_fields=True
    )


def _plain(kind: Any) -> Any:
    """Return a type without its bounds; a closed list of words becomes any text."""
    if isinstance(kind, TypeAliasType):
        return _plain(kind.__value__)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _plain(inner[0])
    if origin is Literal:
        return str
    if origin in (Union, UnionType):
        return reduce(or_, map(_plain, inner))
    return origin[tuple(map(_plain, inner))] if origin in (list, dict) else kind


def _check_confirmation(given: object) -> None:
    if not isinstance(given, bool):
        raise UsageError(
            f"confirm must be true or false, not {brief(repr(given))}.",
            hint="Leave it out to see what would be deleted.",
            code="input.invalid",
        )


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def invalid(error: msgspec.MsgspecError, schema: Schema | None = None) -> UsageError:
    """Return the error for values that are not JSON, or not what the `schema` describes."""
    return UsageError(
        f"The request is not valid: {brief(str(error))}.",
        hint=_advice(str(error), schema)
        if schema
        else "Send a JSON object with the fields of the operation; texts in double quotes.",
        code="input.invalid",
    )


def _advice(problem: str, schema: Schema) -> str:
    """Return what the field takes that is wrong, or which fields there are."""
    fields, required = schema["properties"], schema.get("required", [])
    found = _FIELD.search(problem)
    field = fields.get(found[1], {}) if found else {}
    said = [field["description"]] if "description" in field else []
    if known := [word for enum in _enums(field) for word in enum]:
        said.append(f"One of: {', '.join(known)}.")
    if found and said:
        return f"{found[1]}: {' '.join(said)}"
    names = (f"{name} (required)" if name in required else name for name in fields)
    return f"Fields: {', '.join(names)}."


def _enums(schema: Any) -> Iterator[list[str]]:
    """Yield the closed lists of words in a schema."""
    if isinstance(schema, dict) and "enum" in schema:
        yield schema["enum"]
    elif isinstance(schema, dict | list):
        for inner in schema.values() if isinstance(schema, dict) else schema:
            yield from _enums(inner)


def object_schema(kind: type[msgspec.Struct]) -> Schema:
    """Return the JSON Schema of a Struct with its fields at the root, what they refer to in `$defs`."""
    (reference,), components = msgspec.json.schema_components([kind])
    name = reference["$ref"].rpartition("/")[2]
    schema = components.pop(name)
    return {**schema, "$defs": components} if components else schema
