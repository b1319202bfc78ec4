"""LiteLLM's proxy as a peer to measure beside: from a registry, in an environment of its own, for as long as a run."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import yaml

VERSION = "1.106.2"
KEY = "sk-bench"
_START_S = 180.0
_TREE = Path(__file__).parents[1]


class NotInstalled(Exception):
    """The registry, or uv, is not there; the message is what was said."""


def install(folder: Path) -> Path:
    """Return the program, installed into a folder; a minute or two, and 540 MB."""
    program = folder / "bin/litellm"
    try:
        version = (_TREE / "Makefile").read_text().partition("UV_VERSION := ")[2].split()[0]
        words_ = ["sh", "scripts/find-uv", version]
        found = subprocess.run(words_, cwd=_TREE, capture_output=True, text=True, check=True)
        uv = found.stdout.strip()
        for words in (
            ("venv", "--quiet", "--python", sys.executable, str(folder)),
            ("pip", "install", "--quiet", "--python", str(folder / "bin/python"), f"litellm[proxy]=={VERSION}"),
        ):  # fmt: skip
            subprocess.run([uv, *words], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise NotInstalled(said.strip().splitlines()[-1]) from error
    return program


@contextmanager
def litellm_proxy(program: Path, home: Path, provider: str) -> Iterator[tuple[psutil.Process, str]]:
    """Run it before a provider that speaks Anthropic's Messages; yields the process and the address."""
    home.mkdir()
    config, log = home / "config.yaml", home / "log"
    leads = {"model": "anthropic/m", "api_base": provider, "api_key": KEY}
    models = [{"model_name": "m", "litellm_params": leads}]
    config.write_text(
        yaml.safe_dump({"model_list": models, "general_settings": {"master_key": KEY}})
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = {
        "PATH": os.environ["PATH"], "HOME": str(home), "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY": "False",
        "NO_PROXY": "127.0.0.1",
    }  # fmt: skip
    words = [str(program), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    with (
        log.open("wb") as said,
        subprocess.Popen(words, cwd=home, env=environ, stdout=said, stderr=said) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(process, f"{url}/health/liveliness", log)
            yield psutil.Process(process.pid), url
        finally:
            process.terminate()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + _START_S
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            opener.open(url, timeout=5).close()
        except (OSError, urllib.error.URLError):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"LiteLLM did not start.\n{log.read_text()[-2_000:]}") from None
            time.sleep(0.2)
        else:
            return
