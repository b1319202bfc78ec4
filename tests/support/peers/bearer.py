"""A way in for clients that cannot bring a token: requests are handed on with one added."""

import contextlib
import select
import socket
import socketserver
import threading
from collections.abc import Iterator
from typing import ClassVar

_OURS = (b"authorization:", b"connection:")
_LENGTH = b"content-length:"
_PIECE_BYTES = 65_536


class _HandOn(socketserver.StreamRequestHandler):
    """Hands requests on and their answers back, untouched but for the lines that are ours."""

    target: ClassVar[str]
    token: ClassVar[str]

    def handle(self) -> None:
        host, port = self.target.split(":")
        with (
            contextlib.suppress(ConnectionError),
            socket.create_connection((host, int(port))) as daemon,
        ):
            # Nothing but the client ends a connection: Node's fetch fails where it ends before all is read.
            while head := self._read_head():
                body = self.rfile.read(sum(int(x.split(b":")[1]) for x in head if _is(x, _LENGTH)))
                daemon.sendall(self._changed(head) + body)
                # What makes the client readable is its next request, or that it goes away.
                while self.connection not in select.select([daemon, self.connection], [], [])[0]:
                    piece = daemon.recv(_PIECE_BYTES)
                    if not piece:
                        return
                    self.wfile.write(piece)

    def _read_head(self) -> list[bytes]:
        """Return the lines of the next request; none where the client has gone."""
        head: list[bytes] = []
        while (line := self.rfile.readline()) != b"\r\n":
            if not line:
                return []
            head.append(line)
        return head

    def _changed(self, head: list[bytes]) -> bytes:
        """
        Return the head with the token.

        Of hosts and origins only our own address is exchanged: a forged one has to arrive as it is.
        """
        own = "{}:{}".format(*self.server.server_address[:2]).encode()
        kept = [line.replace(own, self.target.encode()) for line in head if not _is(line, *_OURS)]
        kept[1:1] = [f"Authorization: Bearer {self.token}\r\n".encode()]
        return b"".join(kept) + b"\r\n"


@contextlib.contextmanager
def bearing(target: str, token: str) -> Iterator[str]:
    """Serve `target`, an address without a path, to clients without the token; yields where."""
    parts = {"target": target.removeprefix("http://"), "token": token}
    with socketserver.ThreadingTCPServer(
        ("127.0.0.1", 0), type("HandOn", (_HandOn,), parts)
    ) as way:
        thread = threading.Thread(target=way.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield "http://{}:{}".format(*way.server_address[:2])
        finally:
            way.shutdown()
            thread.join()


def _is(line: bytes, *names: bytes) -> bool:
    return line.lower().startswith(names)
