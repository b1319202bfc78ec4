"""What the peers have in common: the real weights they serve, and texts to compare vectors by."""

import math
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.support.missing_programs import skip_or_fail
from tests.support.peers.journal import HEADING
from tests.support.peers.running import daemon as daemon
from tests.support.weights import safetensors_folder

TEXTS = [
    "How do I reset my password?",
    "Steps to recover account credentials",
    "The cat sat on the mat",
    "naïve café: 日本語 – Ünïcödé",
    "def open_pool(dsn: str) -> Pool:\n    return Pool(dsn)",
]


def cosine(a: list[float], b: list[float]) -> float:
    """Return the cosine of the angle between two vectors."""
    return math.sumprod(a, b) / math.hypot(*a) / math.hypot(*b)


def require_peers(*modules: str) -> None:
    """Skip or fail unless the programs are installed."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        skip_or_fail(f"peers are not installed: {', '.join(missing)}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to what is red what clients asked and what was done, where a household says it."""
    household: Any = (item.funcargs or {}).get("household")
    if call.excinfo is not None and household is not None:
        told = str(household.providers.journal)
        if HEADING not in str(call.excinfo.value):
            call.excinfo.value.add_note(told)
    return (yield)


@pytest.fixture(scope="session")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged MiniLM as llama.cpp takes it."""
    require_peers("xllamacpp", "gguf", "safetensors")
    from tests.support.peers.gguf_weights import write_gguf

    return write_gguf(safetensors_folder(), tmp_path_factory.mktemp("gguf") / "minilm-f16.gguf")
