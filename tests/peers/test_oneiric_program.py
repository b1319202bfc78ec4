"""The program with keys in a cloud: the installed commands, and a daemon that keeps a store open."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mahavishnu.base.processes import identify
from tests.peers.conftest import require_peers
from tests.support.command import PROGRAM, UNMEASURED, Command
from tests.support.daemon import Daemon, running
from tests.support.secrets_contract import KEY

pytestmark = pytest.mark.peer
require_peers("oneiric", "moto")

from tests.support.peers import clouds  # noqa: E402

HELPER = PROGRAM.with_name("mahavishnu-key")
URL = "https://llm.example.com"


class Cloud(clouds.FaultyAws):
    """An AWS on the loopback, whose address the settings of a home name."""

    url: str = ""


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    made = Cloud(values={"team/llm": json.dumps({"ZAI": KEY})})
    with made.serve() as url:
        made.url = url
        yield made


@pytest.fixture
def product(tmp_path: Path, cloud: Cloud) -> Command:
    home = tmp_path / "home"
    home.mkdir()
    alone = Command(home, {"MAHAVISHNU_EMBEDDING_PROVIDER": "none", **UNMEASURED})
    alone.settings.write_text(
        f"""
secrets:
  oneiric:
    timeout: 8
    aws:
      main: {{region: eu-west-1, endpoint_url: "{cloud.url}"}}
      replica: {{region: eu-central-1, endpoint_url: "{clouds.nobody()}", priority: -1}}
ai_environments:
  llm_profiles:
    work: {{anthropic_base_url: "{URL}", key: "oneiric:aws/team/llm#ZAI"}}
"""
    )
    environment = {**alone.environment, **clouds.CREDENTIALS, "AWS_EC2_METADATA_DISABLED": "true",
                   "ANTHROPIC_BASE_URL": URL}  # fmt: skip
    return replace(alone, environment=environment)


def test_the_helper_prints_the_key_and_nothing_else(product: Command, cloud: Cloud) -> None:
    helper = replace(product, program=(HELPER,))
    answer = helper("oneiric:aws/team/llm#ZAI", "--for", URL, MAHAVISHNU_LOG_LEVEL="debug")
    assert (answer.status, answer.out, answer.err) == (0, f"{KEY}\n", "")
    for code, ours, status in (
        ("ThrottlingException", "secret.throttled", 5),
        ("AccessDeniedException", "secret.denied", 6),
        ("ResourceNotFoundException", "secret.missing", 3),
    ):
        cloud.code = code
        answer = helper("oneiric:aws/team/llm#ZAI", "--for", URL)
        assert (answer.status, answer.out) == (status, ""), answer
        assert answer.err.endswith(f"[{ours}]\n") and answer.err.count("\n") == 1
        assert "canary" not in answer.err and KEY not in answer.err
    cloud.code = ""
    other = helper(
        "oneiric:aws/team/llm#ZAI", "--for", URL, ANTHROPIC_BASE_URL="https://evil.example"
    )
    assert (other.status, other.out) == (6, "")


def test_a_switch_and_its_words_hold_the_reference_alone(product: Command, cloud: Cloud) -> None:
    (product.home / ".claude").mkdir()
    assert product("ai", "switch-llm", "work", "--client", "claude-code").status == 0
    text = (product.home / ".claude/settings.json").read_text()
    assert "oneiric:aws/team/llm#ZAI" in text and KEY not in text
    status = product("ai", "status", "--json").json["clients"][0]
    assert (status["profile"], status["key"]) == ("work", "oneiric:aws/team/llm#ZAI")
    cloud.wait_s = 60
    slow = product("ai", "switch-llm", "claude", "--client", "claude-code")
    assert slow.status == 0, "what needs no key asks no cloud"
    refused = product("ai", "switch-llm", "work", "--client", "claude-code", "--json")
    assert refused.error["code"] == "secret.timeout"
    allowed = product("ai", "switch-llm", "work", "--client", "claude-code", "--allow-missing-key")
    assert allowed.status == 0
    left = [path for path in product.home.rglob("*") if path.is_file()]
    assert not any(KEY in path.read_bytes().decode("utf-8", "replace") for path in left)


def test_what_ai_secrets_tells_of_a_cloud(product: Command, cloud: Cloud) -> None:
    read = product("ai", "secrets", "test", "work", "--json").json
    assert read.pop("took_s") > 0
    assert read == {
        "profile": "work", "reference": "oneiric:aws/team/llm#ZAI", "length": "usual",
        "store": "AWS Secrets Manager: team/llm, field ZAI, store aws/main", "dated_at": "2023-11-14T22:13:20Z",
    }  # fmt: skip
    answer = product("ai", "secrets", "check", "--json", MAHAVISHNU_LOG_LEVEL="debug")
    body = json.loads(answer.out)
    assert [each["resolves"] for each in body["keys"]] == [True]
    stores = {each["name"]: each for each in body["stores"]}
    assert stores["aws/main"]["status"] == "healthy" and stores["aws/main"]["latency_ms"] > 0
    assert stores["aws/replica"]["status"] == "unhealthy" and answer.status == 5
    assert "EndpointConnectionError" in stores["aws/replica"]["message"]
    assert KEY not in answer.out + answer.err
    cloud.code = "AccessDeniedException"
    body = json.loads(product("ai", "secrets", "check", "--json").out)
    assert body["stores"][0]["status"] == "degraded"
    assert body["keys"][0]["problem"]["code"] == "secret.denied"
    explained = product("ai", "secrets", "explain", "aws", "--json").json["stores"]
    assert [(each["name"], each["selected"]) for each in explained] == [
        ("main", True),
        ("replica", False),
    ]
    text = product.settings.read_text()
    product.settings.write_text(
        text.replace("timeout: 8", "timeout: 8\n    selections: [aws/replica]")
    )
    chosen = product("ai", "secrets", "explain", "aws", "--json").json["stores"]
    assert chosen[0]["name"] == "replica"
    assert "matched selection override replica" in chosen[0]["reasons"]
    cloud.code = ""
    assert (
        product("ai", "secrets", "test", "work", "--json").json["store"].endswith("store aws/main")
    )


def test_importing_oneiric_prints_nothing_and_leaves_logging_alone(tmp_path: Path) -> None:
    code = (
        "import logging, sys\n"
        "before = (list(logging.getLogger().handlers), logging.getLogger().level)\n"
        "from mahavishnu.ai.secrets.oneiric import providers\n"
        "adapter = providers.gcp_adapter(providers.GcpStore(name='m', project_id='p'), object())\n"
        "import asyncio\nasyncio.run(adapter.init()); asyncio.run(adapter.cleanup())\n"
        "print((list(logging.getLogger().handlers), logging.getLogger().level) == before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env=Command(tmp_path).environ(), cwd=tmp_path,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def served(product: Command) -> Iterator[Daemon]:
    with running(product, "--set", "log_level=debug") as daemon:
        yield daemon


@pytest.mark.postgres
def test_a_daemon_keeps_the_store_open_follows_the_settings_and_ends_whole(
    product: Command, served: Daemon, cloud: Cloud
) -> None:
    helper = replace(product, program=(HELPER,))
    words = ("oneiric:aws/team/llm#ZAI", "--for", URL)
    own = {"AWS_SECRET_ACCESS_KEY": "", "AWS_ACCESS_KEY_ID": ""}  # only the daemon can ask
    assert helper(*words, **own).out == f"{KEY}\n"
    asked = len(cloud.asked)
    assert helper(*words, **own).out == f"{KEY}\n" and len(cloud.asked) == asked
    cloud.values["team/llm"] = json.dumps({"ZAI": "sk-fake-rotated"})
    product.settings.write_text(
        product.settings.read_text().replace("priority: -1", "priority: -2")
    )
    assert helper(*words, **own).out == "sk-fake-rotated\n"
    identity = identify(served.process.pid)
    assert served.command("down").status == 0
    assert identify(served.process.pid) != identity
    assert KEY not in served.log and clouds.CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in served.log
    assert not re.search("Traceback|Unclosed|never retrieved", served.log), served.log
