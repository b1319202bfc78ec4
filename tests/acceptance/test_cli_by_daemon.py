"""Commands beside a running daemon: they use its loaded model, and work without it."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.command import UNMEASURED, Command
from tests.support.daemon import wait_until
from tests.support.weights import GRAPH_SHA256, NAME, packaged_model

pytestmark = pytest.mark.postgres


def test_a_command_embeds_with_the_daemons_model_and_loads_none(tmp_path: Path) -> None:
    given = {
        "MAHAVISHNU_EMBEDDING_PROVIDER": "in-process",
        "MAHAVISHNU_EMBEDDING_MODEL": NAME,
        "MAHAVISHNU_PORT": "0",
        **UNMEASURED,
    }
    home = tmp_path / "home"
    home.mkdir()
    run = Command(home, given)
    # Says on stderr what it imports.
    traced = replace(run, program=(sys.executable, "-X", "importtime", "-m", "mahavishnu"))
    model = packaged_model(tmp_path)
    run("model", "import", os.fspath(model), "--sha256", GRAPH_SHA256)
    assert run("up", "--detach").status == 0
    try:
        # It loads its model when it is first asked for; a command waits only so long for that.
        wait_until(lambda: "running daemon" in run("model", "status").out)
        stored = traced("memory", "store", "The kettle boils at dawn", "--json")
        found = traced("memory", "search", "when is water heated?", "--mode", "vector", "--json")
        for answer in (stored, found):
            assert answer.status == 0, answer
            assert "mahavishnu.embedding.by_daemon" in answer.err
            assert "fastembed" not in answer.err and "onnxruntime" not in answer.err
        assert stored.json["embedded"]
        assert [hit["content"] for hit in found.json["hits"]] == ["The kettle boils at dawn"]
        score = found.json["hits"][0]["arms"]["vector"]["score"]
    finally:
        run("down")
    alone = traced("memory", "search", "when is water heated?", "--mode", "vector", "--json")
    assert "fastembed" in alone.err
    assert alone.json["hits"][0]["arms"]["vector"]["score"] == pytest.approx(score, abs=1e-3)
