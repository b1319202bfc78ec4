"""
Every error a user can meet, as one tree; each class says what its reader can do about it.

    MahavishnuError
      UsageError      the call is wrong: change it
      NotFound        what was named is not there
      Conflict        what is there contradicts the call
      Unavailable     something outside is down: try again later
      Forbidden       the credentials do not suffice
      Corrupt         stored data or a file is not what it must be

`docs/reference/error-codes.md`, made from the code, lists each code with its exit, HTTP and MCP
status; a test keeps it current.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class MahavishnuError(Exception):
    """
    A failure with a message for people, a stable code for programs and, where there is one, a hint.

    `message` and `hint` never hold secrets. `code` is stable across releases.
    """

    default_code: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code or self.default_code


class UsageError(MahavishnuError):
    """The call itself is wrong; nothing was done."""

    default_code = "usage"
    exit_code = 2
    http_status = 400


class NotFound(MahavishnuError):
    """What was named does not exist, or the caller may not see it."""

    default_code = "not_found"
    exit_code = 3
    http_status = 404


class Conflict(MahavishnuError):
    """The call contradicts what is stored."""

    default_code = "conflict"
    exit_code = 4
    http_status = 409


class Unavailable(MahavishnuError):
    """A server, model or resource cannot be reached now; the same call may succeed later."""

    default_code = "unavailable"
    exit_code = 5
    http_status = 503


class Forbidden(MahavishnuError):
    """Wrong credentials or missing rights."""

    default_code = "forbidden"
    exit_code = 6
    http_status = 403


class Corrupt(MahavishnuError):
    """Stored data or a file is damaged or of an unknown shape; it was left untouched."""

    default_code = "corrupt"
    exit_code = 7
    http_status = 500


KINDS = {
    kind.__name__: kind
    for kind in (UsageError, NotFound, Conflict, Unavailable, Forbidden, Corrupt, MahavishnuError)
}


def tell(error: MahavishnuError) -> dict[str, str | None]:
    """Return an error as plain values, for another process."""
    about = {name: getattr(error, name) for name in ("code", "message", "hint")}
    return {"kind": type(error).__name__, **about}


def untell(told: Mapping[str, Any]) -> MahavishnuError:
    """Return the error that `tell` described; raises KeyError or TypeError where it is something else."""
    kind = KINDS.get(told["kind"], MahavishnuError)
    return kind(told["message"], hint=told["hint"], code=told["code"])
