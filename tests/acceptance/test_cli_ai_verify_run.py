"""`mahavishnu ai verify` and `ai run`, as commands."""

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.command import PROGRAM, Answer, Command
from tests.support.fake_servers import FakeServer, Reply, json_reply

KEY = "sk-canary-of-the-command"
OK = json_reply({"type": "message", "content": []})


@pytest.fixture
def command(tmp_path: Path) -> Command:
    (tmp_path / ".claude").mkdir()
    (tmp_path / "bin").mkdir()
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    return Command(tmp_path, {"P_KEY": KEY, "PATH": path})


def configure(command: Command, url: str) -> None:
    values = {"anthropic_base_url": url, "key": "env:P_KEY", "model": "large"}
    command.settings.write_text(
        yaml.safe_dump({"ai_environments": {"llm_profiles": {"p": values}}})
    )


async def verified(command: Command, reply: Reply, *words: str) -> Answer:
    async with FakeServer(lambda _: reply) as server:
        configure(command, server.url)
        answer = await asyncio.to_thread(command, "ai", "verify", *words)
    assert KEY not in answer.out + answer.err
    return answer


@pytest.mark.parametrize(
    ("reply", "verdict", "status"),
    [
        (OK, "ok", 0),
        (json_reply({"error": {"message": f"Wrong key: {KEY}"}}, 401), "auth", 6),
        (json_reply({}, 429, retry_after="60"), "quota", 5),
        (json_reply({}, 529), "overload", 5),
        (json_reply({}, 404), "not_found", 3),
        (json_reply({}, 500), "unexpected", 1),
    ],
)
async def test_verify_tells_by_words_json_and_exit_code(
    command: Command, reply: Reply, verdict: str, status: int
) -> None:
    said = await verified(command, reply, "p")
    assert said.status == status and said.out.startswith(f"{verdict}: p by anthropic at http://")
    told = await verified(command, reply, "p", "--json")
    body = json.loads(told.out)
    assert told.status == status and body["ok"] == (status == 0)
    [trial] = body["trials"]
    assert trial["verdict"] == verdict
    assert (trial["resets_at"] is not None) == (verdict == "quota")


async def test_verify_without_a_name_tries_what_clients_use(command: Command) -> None:
    unused = await verified(command, OK, "--json")
    assert unused.status == 3 and unused.error["code"] == "ai.no_profile_used"
    async with FakeServer(lambda _: OK) as server:
        configure(command, server.url)
        switch = ("ai", "switch-llm", "p", "--client", "claude-code")
        assert (await asyncio.to_thread(command, *switch)).status == 0
        body = (await asyncio.to_thread(command, "ai", "verify", "--json")).json
    assert [trial["profile"] for trial in body["trials"]] == ["p"] and len(server.requests) == 1


def test_verify_says_of_a_missing_key_only_that_it_is_missing(command: Command) -> None:
    configure(command, "http://127.0.0.1:9")
    said = command("ai", "verify", "p", P_KEY="")
    assert said.status == 6 and "Nothing was asked. There is no key at env:P_KEY." in said.out
    assert "not accepted" not in said.out
    told = json.loads(command("ai", "verify", "p", "--json", P_KEY="").out)["trials"][0]
    assert (told["verdict"], told["meaning"]) == ("auth", "Nothing was asked.")


def test_verify_says_where_a_proxy_is_in_the_way_of_a_client(command: Command) -> None:
    configure(command, "http://127.0.0.1:9")
    words = ("ai", "verify", "p", "--json")
    [note] = json.loads(command(*words, HTTP_PROXY="http://127.0.0.1:8").out)["notes"]
    assert note.startswith("Claude Code: ") and "NO_PROXY" in note


def test_verify_does_not_try_a_sign_in_and_knows_no_stranger(command: Command) -> None:
    native = command("ai", "verify", "claude", "--json")
    assert native.status == 2 and json.loads(native.out)["trials"][0]["verdict"] == "untried"
    assert command("ai", "verify", "clade", "--json").error["code"] == "ai.unknown_profile"


def test_run_becomes_the_client(command: Command) -> None:
    configure(command, "http://127.0.0.1:9")
    program = command.home / "bin" / "claude"
    program.write_text('#!/bin/sh\necho $$; env; printf "%s\\n" "$@"; exit 7\n')
    program.chmod(0o755)
    words = [PROGRAM, "ai", "run", "p", "--", "claude", "--continue", "--json"]
    environ = command.environ({"ANTHROPIC_API_KEY": "stray", "OPENAI_API_KEY": "stray"})
    with subprocess.Popen(words, env=environ, cwd=command.home, stdout=subprocess.PIPE) as process:
        out = process.communicate(timeout=120)[0].decode()
    assert process.returncode == 7
    pid, *lines = out.splitlines()
    assert int(pid) == process.pid
    assert "stray" not in out
    assert [line for line in lines if KEY in line] == [f"P_KEY={KEY}"]
    assert lines[-2:] == ["--continue", "--json"]
    assert not list((command.home / ".claude").iterdir())


def test_run_says_what_it_would_do(command: Command) -> None:
    configure(command, "http://127.0.0.1:9")
    program = command.home / "bin" / "claude"
    program.write_text("#!/bin/sh\ntouch ran\n")
    program.chmod(0o755)
    dry = command("ai", "run", "--dry-run", "p", "--", "claude", "-p", "x", ANTHROPIC_MODEL="stray")
    assert dry.status == 0 and "without ANTHROPIC_MODEL" in dry.out and KEY not in dry.out
    for more in ((), ("--dry-run",)):
        told = command("ai", "run", *more, "--json", "p", "claude", "-p", "x").json
        assert told["dry_run"] and told["program"] == str(program)
        assert told["words"][-2:] == ["-p", "x"]
    assert "nothing is started" in " ".join(command("ai", "run", "--help").out.split())
    assert not (command.home / "ran").exists()


def test_run_takes_no_client_from_the_working_folder(command: Command) -> None:
    configure(command, "http://127.0.0.1:9")
    ours = command.home / "bin" / "claude"
    for program in (ours, command.home / "claude"):
        program.write_text('#!/bin/sh\necho "$PATH"\n')
        program.chmod(0o755)
    path = f".:{ours.parent}::/usr/bin:/bin"
    told = command("ai", "run", "--json", "p", "claude", PATH=path).json
    assert told["program"] == str(ours)
    assert command("ai", "run", "p", "claude", PATH=path).out == f"{path}\n"
    ours.unlink()
    missing = command("ai", "run", "--json", "p", "claude", PATH=path)
    assert missing.error["code"] == "ai.program_missing"


@pytest.mark.parametrize(
    ("words", "status"),
    [(("p", "--", "bash"), 2), (("p", "--"), 2), (("p",), 2), (("nobody", "--", "claude"), 3)],
)
def test_run_refuses(command: Command, words: tuple[str, ...], status: int) -> None:
    configure(command, "http://127.0.0.1:9")
    assert command("ai", "run", *words).status == status


@pytest.mark.parametrize(("reply", "status"), [(OK, 0), (json_reply({}, 401), 6)])
async def test_a_switch_asks_the_provider_where_that_is_wanted(
    command: Command, reply: Reply, status: int
) -> None:
    async with FakeServer(lambda _: reply) as server:
        configure(command, server.url)
        switch = ("ai", "switch-llm", "p")
        quiet = await asyncio.to_thread(command, *switch)
        assert quiet.status == 0 and "mahavishnu ai verify p" in quiet.out and not server.requests
        said = await asyncio.to_thread(command, *switch, "--verify")
        assert said.status == status and len(server.requests) == 1
        assert f"{'ok' if status == 0 else 'auth'}: p by anthropic" in said.out
        by_setting = ("--set", "ai_environments.verify_switch=true", *switch, "--json")
        told = await asyncio.to_thread(command, *by_setting)
        assert told.status == status and json.loads(told.out)["trials"][0]["profile"] == "p"
        assert KEY not in quiet.out + said.out + told.out
        # It stands, though the provider refused: what becomes of it is the user's to say.
        assert server.url in (command.home / ".claude/settings.json").read_text()
