"""Someone else's Ollama wire: ollama-proxy-plus before llama.cpp's server, with real weights."""

import contextlib
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.support.external import free_port
from tests.support.peers.llama_peer import ENVIRON, ended, llama_peer

MODEL = "local/all-minilm"
_START_TIMEOUT_S = 60


@contextlib.contextmanager
def ollama_peer(gguf: Path) -> Iterator[str]:
    """Run both programs; yields the base URL of the Ollama API, which serves `MODEL`."""
    with llama_peer(gguf) as address:
        port = free_port()
        proxy = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "ollama_proxy.server:app"),
                *("--host", "127.0.0.1", "--port", str(port), "--log-level", "error"),
            ],
            cwd=gguf.parent,
            env=os.environ
            | ENVIRON
            | {
                "PROVIDERS_LOCAL_BASE_URL": f"{address}/v1",
                "PROVIDERS_LOCAL_API_KEY": "unused",
                "EXTRA_MODELS": MODEL,
            },
        )
        with ended(proxy):
            url = f"http://127.0.0.1:{port}"
            _wait_for(url, proxy)
            yield url


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            opener.open(url, timeout=5).close()
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("ollama-proxy-plus did not start")
        time.sleep(0.1)
