"""A proxy that lets nobody through: it notes where clients wanted to go, so that no host is contacted."""

import contextlib
import socketserver
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def refusing_proxy() -> Iterator[tuple[list[str], dict[str, str]]]:
    """Serve it; yields the hosts that were asked for, and the variables that lead clients to it."""
    asked: list[str] = []

    class Refuse(socketserver.StreamRequestHandler):
        """Notes the target of one CONNECT."""

        def handle(self) -> None:
            words = self.rfile.readline().decode("latin-1").split()
            while self.rfile.readline().strip():
                pass
            if words:
                asked.append(words[1].partition(":")[0])
            self.wfile.write(b"HTTP/1.1 502 Refused\r\ncontent-length: 0\r\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refuse) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            names = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
            yield asked, {**dict.fromkeys(names, url), "NO_PROXY": "127.0.0.1"}
        finally:
            server.shutdown()
            thread.join()
