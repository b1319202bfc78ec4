"""The real Claude Code, Codex and Qwen Code by the gateway: after a stream that breaks off the next one answers."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from mahavishnu.gateway.records import UseRecord, read_records
from tests.support.daemon import wait_until
from tests.support.gateway import (
    KEY,
    Behave,
    Exchange,
    Gateway,
    Providers,
    gateway,
    providers,
)
from tests.support.peers.live import end_codex
from tests.support.peers.provider_stub import Use, provider_stub
from tests.support.peers.provider_wire import Block, completions, messages, responses, whole
from tests.support.peers.pseudo_terminal import submit, until
from tests.support.peers.switched import place_programs, processes_in, write
from tests.support.peers.tmux import tmux

pytestmark = [pytest.mark.peer, pytest.mark.leak]

SAID = "The second provider says this."
READY = {"claude": "❯", "codex": "Ask Codex", "qwen": "Type your message"}
CONFIG = """\
model = "m"
model_provider = "local"
[model_providers.local]
name = "local"
base_url = "{url}/openai"
env_key = "LOCAL_TOKEN"
[projects."{project}"]
trust_level = "trusted"
"""


async def answers(exchange: Exchange) -> None:
    """Answer as the protocol of the path does."""
    if not exchange.json.get("stream"):
        usage = {"input_tokens": 10, "output_tokens": 5}
        more = {"id": "msg_1", "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}
        await exchange.answer(
            200, whole(exchange.path.split("?")[0], {"type": "text", "text": SAID}, "m") | more
        )
        return
    await exchange.begin()
    for each in events(exchange.path, SAID):
        await exchange.chunk(each.encode())
    await exchange.end()


def fails(status: int, kind: str, message: str, **headers: str) -> Behave:
    """Return what answers with an error, in the form that all protocols share."""

    async def behave(exchange: Exchange) -> None:
        body = {"type": "error", "error": {"type": kind, "message": message}}
        await exchange.answer(status, body, **headers)

    return behave


async def says_nothing(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.end()


def breaks(*, cut: bool) -> Behave:
    """Return what begins to answer, and is cut then, or ends with an error."""

    async def behave(exchange: Exchange) -> None:
        if not exchange.json.get("stream"):  # as Claude Code asks again once it had text
            await exchange.answer(500, {"error": {"type": "api_error", "message": "It broke."}})
            return
        await exchange.begin()
        said = 2 if exchange.path.endswith("/completions") else 3
        await exchange.chunk("".join(list(events(exchange.path, "Not this."))[:said]).encode())
        if cut:
            exchange.writer.close()
            return
        error = {"type": "error", "error": {"type": "api_error", "message": "It broke."}}
        await exchange.chunk(f"event: error\ndata: {json.dumps(error)}\n\n".encode())
        await exchange.end()

    return behave


# Before the first text; the first of all cannot be reached.
FAILURES: dict[str, Behave] = {
    "away": answers,
    "unpaid": fails(402, "billing_error", "Insufficient balance."),
    "quota": fails(429, "rate_limit_error", "Slow down.", retry_after="600"),
    "overload": fails(529, "overloaded_error", "Overloaded"),
    "busy": fails(400, "invalid_request_error", "The engine is overloaded"),
    "fault": fails(500, "api_error", "Internal server error"),
    "silent": says_nothing,
}
CAUSES = ("network", "quota", "quota", "overload", "overload", "provider", "provider")


async def breaks_off(exchange: Exchange) -> None:
    """Begin to answer, and end without what belongs at the end."""
    if not exchange.json.get("stream"):
        await answers(exchange)
        return
    await exchange.begin()
    said = 2 if exchange.path.endswith("/completions") else 3  # events with a part of its text
    await exchange.chunk(
        "".join(list(events(exchange.path, "The first broke off."))[:said]).encode()
    )
    await exchange.end()


def events(path: str, said: str) -> Iterator[str]:
    block: Block = {"type": "text", "text": said}
    if "/messages" in path:
        return messages(block, "m", turn=1)
    if path.endswith("/responses"):
        return responses(said, "m", turn=1)
    return completions(block, "m", turn=1)


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
def test_each_way_to_fail_leads_to_the_next_provider(
    run: Gateway, found: Providers, tmp_path: Path, client: str
) -> None:
    """
    Some seconds each, in which the client asks again twice: after what fails in the middle of its stream.

    What fails before that it never hears of.
    """
    names = [f"{each}-{client}" for each in (*FAILURES, "cut", "error", "last")]
    found.behave |= {f"{name}-{client}": behave for name, behave in FAILURES.items()}
    found.behave |= {f"cut-{client}": breaks(cut=True), f"error-{client}": breaks(cut=False)}
    found.behave[f"last-{client}"] = answers
    for name in names:
        make_profile(run, found, name)
    make_profile(run, found, names[0], "http://127.0.0.1:9")
    run.route(client, *names)
    done = ask(client, run, tmp_path)
    assert done.returncode == 0 and SAID in done.stdout, (done, records(run, client))
    wait_until(lambda: any(each.profile == names[-1] for each in records(run, client)))
    rows = records(run, client)
    causes = {name: cause for row in rows for name, _, cause in each_moved(row)}
    causes |= {each.profile: each.cause for each in rows if each.cause}
    wanted = [*CAUSES, "network", "provider"]
    assert [causes.get(name) for name in names[:-1]] == wanted, rows


@pytest.mark.parametrize("client", ["claude", "codex", "qwen"])
def test_a_session_in_a_terminal_goes_on_by_itself(
    run: Gateway, found: Providers, tmp_path: Path, client: str
) -> None:
    """
    Nothing is typed after the prompt, and the answer of the second is shown.

    Up to five seconds each: a client takes that long to begin, and waits before it asks again.
    """
    first, second = f"shown-first-{client}", f"shown-second-{client}"
    found.behave |= {first: breaks_off, second: answers}
    for name in (first, second):
        make_profile(run, found, name)
    run.route(client, first, second)
    environ = settle(client, run, tmp_path)
    try:
        with tmux(tmp_path / "bin", tmp_path / "project", environ) as panes:
            pane = panes.open(tmp_path / "bin" / client)
            assert pane.shows(READY[client]), pane.shown
            submit(pane, "Say something.", lambda: turns(found, first), lambda: pane.shown)
            assert pane.shows(SAID), pane.shown
    finally:
        end_codex(tmp_path, environ)
        assert until(lambda: not processes_in(tmp_path), timeout_s=60)
    assert len(turns(found, first)) == 1 and turns(found, second)


def turns(found: Providers, name: str) -> list[Exchange]:
    """Return the requests of the client itself, which offers its tools, and not for a title."""
    return [each for each in found.asked(name) if each.body and each.json.get("tools")]


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
    assert len(turns(found, refusing)) == 1, (done, [each.path for each in found.asked(refusing)])


def test_claude_code_uses_a_tool_of_a_model_behind_chat_completions(
    run: Gateway, tmp_path: Path
) -> None:
    """Seven seconds: three to load LiteLLM, and two turns of Claude Code."""
    note = tmp_path / "project/note.txt"
    with provider_stub(Use("Read", {"file_path": str(note)})) as (stub, url):
        chat = {"anthropic_base_url": None, "openai_chat_base_url": f"{url}/v1"}
        run.profile("translated", model="big", **chat)
        run.route("claude", "translated")
        environ = settle("claude", run, tmp_path)
        note.write_text("The harbour is closed.")
        done = ask("claude", run, tmp_path, environ)
    assert done.returncode == 0 and "The harbour is closed." in done.stdout, done
    asked = [each for each in stub.turns if each.body.get("tools")]
    assert {each.path for each in asked} == {"/v1/chat/completions"} and len(asked) == 2
    assert {each.headers["authorization"] for each in asked} == {f"Bearer {KEY}"}
    assert {each.cause for each in records(run, "claude") if each.profile == "translated"} == {""}


def each_moved(row: UseRecord) -> list[tuple[str, str, str]]:
    """Return profiles and causes of what moved on."""
    return [each.partition(":") for each in row.moved_from.split(",") if each]


def make_profile(run: Gateway, found: Providers, name: str, url: str | None = None) -> None:
    url = url or f"{found.url}/{name}"
    run.profile(
        name,
        url,
        openai_responses_base_url=f"{url}/v1",
        openai_chat_base_url=f"{url}/v1",
        model=f"{name}-model",
    )


def records(run: Gateway, client: str) -> list[UseRecord]:
    return read_records(run.state / "gateway", client=client, limit=100)


def ask(
    client: str, run: Gateway, home: Path, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a client once, whose settings lead to the gateway; `environ` is that of a home that is there."""
    words = {"codex": ("exec", "--skip-git-repo-check", "Say something.")}
    return subprocess.run(
        [home / "bin" / client, *words.get(client, ("-p", "Say something."))],
        env=environ or settle(client, run, home), cwd=home / "project", stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip


def settle(client: str, run: Gateway, home: Path) -> dict[str, str]:
    """Make a home in which a client goes to the gateway and asks nothing when it begins; return its environment."""
    url = f"http://127.0.0.1:{run.port}"
    token = run.headers(client)["authorization"].removeprefix("Bearer ")
    place_programs(home / "bin")
    project = home / "project"
    project.mkdir()
    (home / "tmp").mkdir()
    environ = {
        "PATH": f"{home / 'bin'}:{os.defpath}", "HOME": str(home), "TERM": "xterm-256color", "LANG": "C.UTF-8",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "TMPDIR": str(home / "tmp"),
    }  # fmt: skip
    if client == "claude":
        env = {"ANTHROPIC_BASE_URL": f"{url}/anthropic", "ANTHROPIC_AUTH_TOKEN": token}
        write(home / ".claude/settings.json", {"env": env})
        trusted = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
        begun = {"hasCompletedOnboarding": True, "theme": "dark"}
        write(home / ".claude.json", begun | {"projects": {str(project): trusted}})
    elif client == "codex":
        write(home / ".codex/config.toml", CONFIG.format(url=url, project=project))
        environ["LOCAL_TOKEN"] = token
    else:
        environ |= {
            "OPENAI_API_KEY": token,
            "OPENAI_BASE_URL": f"{url}/openai/v1",
            "OPENAI_MODEL": "m",
        }
        trusted = {"auth": {"selectedType": "openai"}, "folderTrust": {"enabled": False}}
        write(
            home / ".qwen/settings.json",
            {"security": trusted, "general": {"disableAutoUpdate": True}},
        )
    return environ
