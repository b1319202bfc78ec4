"""
llama.cpp's own server, with real weights; it speaks OpenAI's API.

As a program, `python -m tests.support.peers.llama_peer GGUF` serves the GGUF on a free port, prints its
address and ends when its standard input does, so that it never outlives its test.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

WINDOW_TOKENS = 512
ENVIRON = {
    "PYTHONPATH": str(Path(__file__).parents[3]),
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
}


@contextlib.contextmanager
def llama_peer(gguf: Path) -> Iterator[str]:
    """Run the server; yields its address, without /v1."""
    llama = subprocess.Popen(
        [sys.executable, "-m", "tests.support.peers.llama_peer", str(gguf)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | ENVIRON,
    )
    with ended(llama):
        assert llama.stdout is not None
        yield next(line for line in llama.stdout if line.startswith("http")).strip()


@contextlib.contextmanager
def ended(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> Iterator[None]:
    """End the process with the block: its streams closed, then asked, then killed."""
    try:
        yield
    finally:
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


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
