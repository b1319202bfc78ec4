"""An operation: what it takes, gives and does, and what an interface has to know to offer it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import msgspec

from mahavishnu.app import App
from mahavishnu.errors import UsageError

type Report = Callable[[float, float, str], Awaitable[None]]
type Schema = dict[str, Any]


async def report_nothing(_done: float, _total: float, _message: str) -> None:
    """Tell nobody how far the work is."""


@dataclass(frozen=True)
class Call:
    """
    The surroundings of one call: the application, and who asks.

    `source` is the source system of what is stored without one. `report` takes (done, total, what).
    """

    app: App
    source: str
    report: Report = report_nothing


@dataclass(frozen=True)
class Operation[Q: msgspec.Struct, R: msgspec.Struct]:
    """
    One thing that can be asked for.

    `description` is written for a model that has to choose. `path` is below `/api/v1`; what it names
    in braces is a field of the request. A `destructive` one takes `confirm`. All are idempotent: the
    same call again leaves the same state, so a caller may repeat one whose answer was lost.
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

        Raises:
            UsageError: `input.invalid`, naming the field.
        """
        if isinstance(values, dict):  # JSON has one kind of number: 5.0 is 5
            values = {name: _whole(value) for name, value in values.items()}
        try:
            return msgspec.convert(values, self.request, strict=not lenient)
        except msgspec.ValidationError as error:
            raise invalid(error) from error


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def invalid(error: msgspec.MsgspecError) -> UsageError:
    """Return the error for values that are not what an operation takes."""
    return UsageError(
        f"The request is not valid: {error}.",
        hint="The schema of the operation names its fields, their types and bounds.",
        code="input.invalid",
    )


def object_schema(kind: type[msgspec.Struct]) -> Schema:
    """Return the JSON Schema of a Struct with its fields at the root, what they refer to in `$defs`."""
    (reference,), components = msgspec.json.schema_components([kind])
    name = reference["$ref"].rpartition("/")[2]
    schema = components.pop(name)
    return {**schema, "$defs": components} if components else schema
