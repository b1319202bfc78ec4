"""The real Claude Code, Codex and Qwen Code by the gateway: after a stream that breaks off the next one answers."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mahavishnu.gateway.records import UseRecord, read_records
from tests.peers.provider_wire import Block, completions, messages, responses, whole
from tests.peers.switched import place_programs, write
from tests.support.daemon import wait_until
from tests.support.gateway import Exchange, Gateway, Providers, gateway, providers

pytestmark = [pytest.mark.peer, pytest.mark.leak]

SAID = "The second provider says this."
BLOCK: Block = {"type": "text", "text": SAID}
CONFIG = """\
model = "m"
model_provider = "local"
[model_providers.local]
name = "local"
base_url = "{url}/openai"
env_key = "LOCAL_TOKEN"
"""


async def answers(exchange: Exchange) -> None:
    """Answer as the protocol of the path does."""
    if not exchange.json.get("stream"):
        usage = {"input_tokens": 10, "output_tokens": 5}
        more = {"id": "msg_1", "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}
        await exchange.answer(200, whole(exchange.path.split("?")[0], BLOCK, "m") | more)
        return
    await exchange.begin()
    for each in events(exchange.path):
        await exchange.chunk(each.encode())
    await exchange.end()


async def breaks_off(exchange: Exchange) -> None:
    """Begin to answer, and end without what belongs at the end."""
    if not exchange.json.get("stream"):
        await answers(exchange)
        return
    await exchange.begin()
    said = 2 if exchange.path.endswith("/completions") else 3  # events with a part of its text
    await exchange.chunk("".join(list(events(exchange.path))[:said]).encode())
    await exchange.end()


def events(path: str) -> Iterator[str]:
    if "/messages" in path:
        return messages(BLOCK, "m", turn=1)
    if path.endswith("/responses"):
        return responses(SAID, "m", turn=1)
    return completions(BLOCK, "m", turn=1)


@pytest.fixture(scope="module")
def found() -> Iterator[Providers]:
    with providers() as served:
        served.behave["second"] = answers
        yield served


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, found: Providers) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("gateway"), found) as running:
        yield running


@pytest.mark.parametrize("client", ["claude", "codex", "qwen"])
def test_a_stream_that_breaks_off_goes_on_with_the_next_provider(
    run: Gateway, found: Providers, tmp_path: Path, client: str
) -> None:
    """Nobody starts anew: the client asks again by itself, and gets the answer of the second."""
    first, second = f"first-{client}", f"second-{client}"
    found.behave |= {first: breaks_off, second: answers}
    for name in (first, second):
        make_profile(run, found, name)
    run.route(client, first, second)
    done = ask(client, run, tmp_path)
    assert done.returncode == 0 and SAID in done.stdout, done
    assert found.asked(first) and found.asked(second)
    for name in (first, second):
        assert {each.json["model"] for each in found.asked(name)} == {f"{name}-model"}
    wait_until(lambda: any(each.profile == second for each in records(run, client)))
    rows = records(run, client)
    assert (rows[0].profile, rows[0].cause, rows[0].status) == (first, "provider", 200)
    last = next(each for each in rows if each.profile == second)
    assert (last.cause, last.input, last.output) == ("", 10, 5)


@pytest.mark.parametrize("client", ["claude", "codex", "qwen"])
def test_a_refused_key_is_asked_for_once(
    run: Gateway, found: Providers, tmp_path: Path, client: str
) -> None:
    """Else Claude Code asks eleven times and Codex six, by which an account can be locked."""
    refusing = f"refusing-{client}"

    async def refuses(exchange: Exchange) -> None:
        await exchange.answer(401, {"error": {"type": "authentication_error", "message": "No."}})

    found.behave[refusing] = refuses
    make_profile(run, found, refusing)
    run.route(client, refusing)
    done = ask(client, run, tmp_path)
    assert done.returncode != 0 and "No." in done.stdout + done.stderr, done
    asked = [each for each in found.asked(refusing) if each.json.get("tools")]
    assert len(asked) == 1, (done, [each.path for each in found.asked(refusing)])


def make_profile(run: Gateway, found: Providers, name: str) -> None:
    url = f"{found.url}/{name}"
    run.profile(
        name,
        url,
        openai_responses_base_url=f"{url}/v1",
        openai_chat_base_url=f"{url}/v1",
        model=f"{name}-model",
    )


def records(run: Gateway, client: str) -> list[UseRecord]:
    return read_records(run.state / "gateway", client=client, limit=100)


def ask(client: str, run: Gateway, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a client once, whose settings lead to the gateway."""
    url = f"http://127.0.0.1:{run.port}"
    token = run.headers(client)["authorization"].removeprefix("Bearer ")
    place_programs(home / "bin")
    (home / "project").mkdir()
    environ = {
        "PATH": f"{home / 'bin'}:{os.defpath}", "HOME": str(home), "TERM": "xterm-256color", "LANG": "C.UTF-8",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }  # fmt: skip
    words = ["-p", "Say something."]
    if client == "claude":
        env = {"ANTHROPIC_BASE_URL": f"{url}/anthropic", "ANTHROPIC_AUTH_TOKEN": token}
        write(home / ".claude/settings.json", {"env": env})
    elif client == "codex":
        write(home / ".codex/config.toml", CONFIG.format(url=url))
        environ["LOCAL_TOKEN"] = token
        words = ["exec", "--skip-git-repo-check", "Say something."]
    else:
        environ |= {
            "OPENAI_API_KEY": token,
            "OPENAI_BASE_URL": f"{url}/openai/v1",
            "OPENAI_MODEL": "m",
        }
        write(home / ".qwen/settings.json", {"security": {"auth": {"selectedType": "openai"}}})
    return subprocess.run(
        [home / "bin" / client, *words], env=environ, cwd=home / "project", stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
