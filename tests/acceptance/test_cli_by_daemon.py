"""Commands beside a running daemon: they use its loaded model, and work without it."""

import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.command import UNMEASURED, Command
from tests.support.daemon import wait_until
from tests.support.weights import GRAPH_SHA256, NAME, packaged_model

pytestmark = pytest.mark.postgres
# Each gives the same with a daemon and without, also where it fails.
ASKED = (
    ("memory", "search", "kettle", "--mode", "text", "--json"),
    ("memory", "search", "kettle noon", "--mode", "text", "--limit", "1"),
    ("memory", "search", "kettle", "--mode", "guess"),
    ("memory", "search", "kettle", "--project", "nowhere"),
    ("memory", "search", "kettle", "--tier", "development", "--json"),
    ("memory", "search", "kettle", "--since", "7d", "--metadata", "a=b"),
    ("memory", "store", "The kettle boils at noon"),
    ("memory", "store", "The kettle boils at noon", "--type", "guess", "--json"),
    ("memory", "store", ""),
)


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
            for heavy in ("mahavishnu.app", "asyncpg", "fastembed", "onnxruntime"):
                assert heavy not in answer.err
        assert stored.json["embedded"]
        assert [hit["content"] for hit in found.json["hits"]] == ["The kettle boils at dawn"]
        # What has no short way still embeds with the daemon's model.
        corrected = traced("memory", "supersede", stored.json["id"], "The kettle boils at noon")
        assert "mahavishnu.embedding.by_daemon" in corrected.err
        assert "fastembed" not in corrected.err
        found = run("memory", "search", "when is water heated?", "--mode", "vector", "--json")
        score = found.json["hits"][0]["arms"]["vector"]["score"]
        by_daemon = [run(*words) for words in ASKED]
        other = traced("--set", "memory.restorable_for=9d", *ASKED[0])
        assert other.status == 0 and "mahavishnu.app" in other.err
    finally:
        run("down")
    for words, answer in zip(ASKED, by_daemon, strict=True):
        own = run(*words)
        # Only a daemon has the tier hot, and says what became of it there.
        out = re.sub(r"postgresql: stored, hot: .*\n", "", answer.out)
        assert (own.status, own.out, own.err) == (answer.status, out, answer.err), words
    alone = traced("memory", "search", "when is water heated?", "--mode", "vector", "--json")
    assert "fastembed" in alone.err
    assert alone.json["hits"][0]["arms"]["vector"]["score"] == pytest.approx(score, abs=1e-3)
