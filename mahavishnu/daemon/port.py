"""The daemon's port: on the loopback address, or a clear word about who has it."""

import errno
import socket

from mahavishnu.base.daemon.record import HOST
from mahavishnu.base.errors import Conflict, Forbidden
from mahavishnu.base.ports import describe_owner

BACKLOG = 4_096  # connections that the system keeps until they are accepted


def bind(port: int) -> socket.socket:
    """
    Return a socket that listens on 127.0.0.1; port 0 takes any that is free.

    It listens at once: of two who only bind, both would have the port. Who connects waits.

    Raises:
        Conflict: `daemon.port_taken`, naming the owner as far as it can be seen.
        Forbidden: `daemon.port_forbidden`.
    """
    # The protocol is named, or asyncio would leave Nagle's algorithm on: 40 ms for an answer.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise Conflict(
                f"Port {port} is taken by {describe_owner(port)}.",
                hint="End that, or take another port: mahavishnu up --port PORT",
                code="daemon.port_taken",
            ) from error
        raise Forbidden(
            f"Port {port} cannot be used: {error.strerror}.",
            hint="Take one above 1023: mahavishnu up --port PORT",
            code="daemon.port_forbidden",
        ) from error
    return bound
