"""The service under supervision: embeds texts by OpenAI's protocol, each word hashed; needs Python alone."""

import hashlib
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = "soak-words"
DIMENSIONS = 64


def embed(text: str) -> list[float]:
    """Return a vector that is near to those of texts with the same words."""
    values = [0.0] * DIMENSIONS
    for word in text.lower().split():
        digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
        for byte in digest:
            values[byte % DIMENSIONS] += 1.0 if byte & 64 else -1.0
    return values if any(values) else [1.0] * DIMENSIONS


class Server(BaseHTTPRequestHandler):
    """Answers health checks and embeddings."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Say that it works."""
        self._answer({"object": "list", "data": [{"id": MODEL}]})

    def do_POST(self) -> None:
        """Embed the texts of a request."""
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        rows = enumerate(map(embed, asked["input"]))
        self._answer({"data": [{"index": at, "embedding": row} for at, row in rows]})

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def _answer(self, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Server).serve_forever()
