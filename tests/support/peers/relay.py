"""A way to a server that can be cut and restored, as a network does it; on the loopback."""

import contextlib
import socket
import threading
from collections.abc import Callable

from tests.support.external import free_port

BUSY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Relay:
    """Hands connections on to `target`, a port of the loopback, from a port of its own."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self.change: Callable[[bytes], bytes] = bytes  # what becomes of that which clients send
        self.busy = 0  # so many connections are answered by 503, as Prefect's server does while SQLite is locked
        self._target = target
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()

    def restore(self) -> None:
        """Take connections, from now until `cut`."""
        listener = self._keep(socket.create_server(("127.0.0.1", self.port)))
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        """End all connections, and refuse others."""
        with self._lock:
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()
            self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # cut
            while True:
                ours = self._keep(listener.accept()[0])
                if self.busy:
                    self.busy -= 1
                    ours.recv(65_536)
                    ours.sendall(BUSY)
                    continue
                theirs = self._keep(socket.create_connection(("127.0.0.1", self._target)))
                for ends in ((ours, theirs, True), (theirs, ours, False)):
                    threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, changed: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65_536):
                sink.sendall(self.change(piece) if changed else piece)
            sink.shutdown(socket.SHUT_WR)

    def _keep(self, opened: socket.socket) -> socket.socket:
        with self._lock:
            self._open.append(opened)
        return opened
