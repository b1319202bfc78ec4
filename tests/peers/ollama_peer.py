"""
Someone else's Ollama wire: llama.cpp's server behind ollama-proxy-plus, with real weights.

As a program, `python -m tests.peers.ollama_peer GGUF` serves the GGUF by llama.cpp on a free port,
prints its address and ends when its standard input does, so that it never outlives its test.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

MODEL = "local/all-minilm"
WINDOW_TOKENS = 512
_START_TIMEOUT_S = 60


@contextlib.contextmanager
def ollama_peer(gguf: Path) -> Iterator[str]:
    """Run both programs; yields the base URL of the Ollama API, which serves `MODEL`."""
    root = str(Path(__file__).parents[2])
    environ = os.environ | {"PYTHONPATH": root, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
    llama = subprocess.Popen(
        [sys.executable, "-m", "tests.peers.ollama_peer", str(gguf)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environ,
    )
    with _ended(llama):
        assert llama.stdout is not None
        address = next(line for line in llama.stdout if line.startswith("http")).strip()
        port = _free_port()
        proxy = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "ollama_proxy.server:app"),
                *("--host", "127.0.0.1", "--port", str(port), "--log-level", "error"),
            ],
            cwd=gguf.parent,
            env=environ
            | {
                "PROVIDERS_LOCAL_BASE_URL": f"{address}/v1",
                "PROVIDERS_LOCAL_API_KEY": "unused",
                "EXTRA_MODELS": MODEL,
            },
        )
        with _ended(proxy):
            url = f"http://127.0.0.1:{port}"
            _wait_for(url, proxy)
            yield url


@contextlib.contextmanager
def _ended(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


def serve(gguf: str) -> None:
    """Serve `gguf` by llama.cpp until standard input ends."""
    import xllamacpp  # type: ignore[import-untyped]

    parameters = xllamacpp.CommonParams()
    parameters.model.path = gguf
    parameters.embedding = True
    parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = WINDOW_TOKENS
    parameters.n_parallel = 1
    parameters.warmup = False
    # llama.cpp's threads spin while they wait; one leaves the other cores to the tests.
    parameters.cpuparams.n_threads = 1
    parameters.port = 0
    parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    serve(sys.argv[1])
