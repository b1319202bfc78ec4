"""How JSON is read, and how errors look: one shape, with the status that the class of the error fixes."""

from typing import Any

import msgspec
from starlette.responses import Response

from mahavishnu.base.errors import MahavishnuError, UsageError
from mahavishnu.operations.operation import invalid
from mahavishnu.operations.refusals import in_operations


class HttpError(MahavishnuError):
    """What HTTP itself refuses, with a status of its own: who may ask, how much, how, and where."""

    def __init__(self, status: int, message: str, *, code: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint, code=code)
        self.status = status


class Failure(msgspec.Struct, frozen=True):
    """An error as JSON has it."""

    code: str
    message: str
    hint: str | None


class FailureBody(msgspec.Struct, frozen=True):
    """The body of an answer that is an error."""

    error: Failure


def failure(error: MahavishnuError) -> Failure:
    """Return an error as JSON shows it."""
    return Failure(error.code, error.message, in_operations(error.hint))


def status_of(error: MahavishnuError) -> int:
    return error.status if isinstance(error, HttpError) else error.http_status


def answer(value: object, status: int = 200) -> Response:
    """Return the answer that has a value as JSON."""
    headers = {"cache-control": "no-store"}
    return Response(msgspec.json.encode(value), status, headers, "application/json")


def refuse(error: MahavishnuError) -> Response:
    """Return the answer that says an error."""
    response = answer(FailureBody(failure(error)), status_of(error))
    if response.status_code == 401:
        response.headers["www-authenticate"] = 'Bearer realm="mahavishnu"'
    if response.status_code in (429, 503):
        response.headers["retry-after"] = "1"
    return response


def masked() -> MahavishnuError:
    """Return the message for a fault, whose own words stay in the log."""
    return MahavishnuError(
        "Something went wrong inside.", hint="Read the daemon's log; to find it: mahavishnu status"
    )


def media_type(header: str) -> str:
    """Return what a Content-Type says, without its parameters."""
    return header.partition(";")[0].strip().lower()


def read_json(text: bytes) -> Any:
    """Decode what a client sent; raises `UsageError` where it is no JSON."""
    try:
        return msgspec.json.decode(text)
    except msgspec.MsgspecError as error:
        raise invalid(error) from error
    except UnicodeDecodeError as error:
        raise UsageError(
            "The request is not UTF-8.", hint="JSON is UTF-8 always.", code="input.invalid"
        ) from error
    except RecursionError as error:
        raise UsageError(
            "The request is nested too deeply.", hint="Make it flatter.", code="input.invalid"
        ) from error
