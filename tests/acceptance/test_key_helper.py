"""`mahavishnu-key` as clients start it: the key and a line's end, or a reason; and no key anywhere else."""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mahavishnu.ai.bindings.stored_keys import ROUTE
from tests.support.command import PROGRAM, Answer, Command
from tests.support.daemon import Daemon, running
from tests.support.kept_secrets import lines, private, seal, sealed_keyring, stand_ins

HELPER = PROGRAM.with_name("mahavishnu-key")
URL = "https://api.z.ai/api/anthropic"
CANARY = "sk-fake-canary-7f3a"


@pytest.fixture
def helper(alone: Command, tmp_path: Path) -> Command:
    """The helper in a home with a keyring, an age file and stand-ins, as Claude Code would start it."""
    bin_ = tmp_path / "bin"
    script = "echo opened >> $HOME/opened; sleep 0.3; tail -n +2 | tr A-Za-z N-ZA-Mn-za-m"
    environ = stand_ins(bin_, age=script) | {"HOME": str(alone.home)}
    seal(alone.home / "keys.age", lines({"K": CANARY, "TWO_WORDS": f"{CANARY} x"}))
    private(alone.settings.parent / "age-identity.txt", "AGE-SECRET-KEY-FAKE\n")
    sealed_keyring(alone.home, bin_)
    given = {
        **alone.environment,
        **environ,
        "TMPDIR": str(_folder(tmp_path / "tmp")),
        "ANTHROPIC_BASE_URL": URL,
        "MAHAVISHNU_LOG_LEVEL": "debug",
    }
    made = replace(alone, environment=given, program=(HELPER,))
    put = "import keyring, sys; keyring.set_password('service', 'K', sys.stdin.read())"
    subprocess.run(
        [sys.executable, "-c", put], env=made.environ(), input=CANARY.encode(), check=True
    )
    return made


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def ask(helper: Command, reference: str, *words: str, **environ: str) -> Answer:
    """Ask for a key that is bound to `URL`."""
    return helper(reference, "--for", URL, *words, **environ)


def references(home: Path) -> dict[str, str]:
    """Return a reference of each kind that leads to the canary, by the variable it needs."""
    return {"env": "env:K", "keyring": "keyring:service/K", "file": f"file:{home}/keys.age#K"}


@pytest.mark.parametrize("kind", ["env", "keyring", "file"])
@pytest.mark.parametrize("client", ["claude-code", "codex"])
def test_the_key_and_a_lines_end_are_all_it_prints(helper: Command, kind: str, client: str) -> None:
    answer = ask(helper, references(helper.home)[kind], "--client", client, K=CANARY)
    assert answer == Answer(0, f"{CANARY}\n", "")


@pytest.mark.verifies("keyring, with a backend that encrypts")
def test_a_key_out_of_a_keyring_chosen_by_its_own_settings(helper: Command) -> None:
    assert ask(helper, "keyring:service/K").out == f"{CANARY}\n"
    assert CANARY not in (helper.home / "keyring.cfg").read_text()


def test_refusals_are_one_line_on_stderr_and_a_code(helper: Command) -> None:
    file = f"file:{helper.home}/keys.age"
    cases: list[tuple[Answer, int, str]] = [
        (ask(helper, "env:K", K=CANARY, ANTHROPIC_BASE_URL="https://evil.example"), 6, "secret.other_host"),
        (ask(helper, "env:K", K=CANARY, ANTHROPIC_BASE_URL=""), 6, "secret.other_host"),
        (ask(helper, "env:K", K=CANARY, NODE_TLS_REJECT_UNAUTHORIZED="0"), 6, "secret.unchecked_tls"),
        (ask(helper, file + "#K", ANTHROPIC_BASE_URL="https://evil.example"), 6, "secret.other_host"),
        (ask(helper, "env:NONE"), 3, "secret.missing"),
        (ask(helper, "keyring:service/NONE"), 3, "secret.missing"),
        (ask(helper, file + "#NONE"), 3, "secret.missing"),
        (ask(helper, file + "#TWO_WORDS"), 7, "secret.malformed"),
        (ask(helper, file), 7, "secret.malformed"),
        (ask(helper, f"file:{helper.home}/gone#K"), 3, "secret.missing"),
        (ask(helper, "${K:-" + CANARY + "}"), 2, "secret.reference"),
        (ask(helper, CANARY), 2, "secret.reference"),
        (ask(helper, f"env:{CANARY}"), 2, "secret.reference"),
        (ask(helper, "env:K", "--client", "emacs", K=CANARY), 2, "secret.client"),
        (ask(helper, "env:K", "--unknown", K=CANARY), 2, "secret.helper_words"),
        (helper("env:K", "--for", "http://api.z.ai", K=CANARY), 2, "secret.insecure_endpoint"),
        (helper("env:K", "--for", f"https://me:{CANARY}@api.z.ai", K=CANARY), 2, "secret.endpoint"),
        (helper("env:K", K=CANARY), 2, "secret.helper_words"),
        (helper(), 2, "secret.helper_words"),
    ]  # fmt: skip
    for answer, status, code in cases:
        assert (answer.status, answer.out) == (status, ""), (answer, code)
        assert answer.err.startswith("mahavishnu-key: ") and answer.err.count("\n") == 1
        assert answer.err.endswith(f"[{code}]\n") and CANARY not in answer.err
    (helper.home / "keys.age").chmod(0o640)
    assert ask(helper, file + "#K").err.endswith("[secret.exposed]\n")
    private(helper.home / "keys.age", f"K={CANARY}\n")
    assert ask(helper, file + "#K").err.endswith("[secret.plaintext]\n")


def test_help_and_version(helper: Command) -> None:
    assert helper("--help").out.startswith("Usage: mahavishnu-key REFERENCE --for URL")
    assert helper("--version").out.startswith("mahavishnu-key ")


def test_a_client_that_went_away_gets_no_traceback(helper: Command) -> None:
    words = ["sh", "-c", f'"{HELPER}" env:K --for {URL} > /dev/full; echo $?']
    done = subprocess.run(
        words, env=helper.environ({"K": CANARY}), capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n" and done.stderr.endswith("[output.failed]\n"), done


def test_broken_settings_do_not_keep_a_key_from_its_client(helper: Command) -> None:
    helper.settings.write_text("{ no settings")
    assert ask(helper, references(helper.home)["file"]).out == f"{CANARY}\n"


def test_for_a_variable_the_standard_library_suffices(helper: Command) -> None:
    """What else is imported is what a client waits for at each start."""
    code = (
        "import sys; sys.argv = ['mahavishnu-key', 'env:K', '--for', sys.argv[1]]\n"
        "before = set(sys.modules)\n"
        "from mahavishnu.interfaces.cli.key import main\n"
        "status = main()\n"
        "print({m.partition('.')[0] for m in set(sys.modules) - before} - sys.stdlib_module_names,"
        " {'asyncio', 'dataclasses', 'subprocess', 'json', 'argparse', 'urllib'} & set(sys.modules), status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, URL], env=helper.environ({"K": CANARY}),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == f"{CANARY}\n{{'mahavishnu'}} set() 0\n"


def command_lines() -> Iterator[str]:
    """Yield what `ps` would show of every process now."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes().decode("utf-8", "replace")
        except (FileNotFoundError, ProcessLookupError):
            continue


def texts_below(*folders: Path) -> str:
    """Return everything that files below these folders hold."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return "\n".join(path.read_bytes().decode("utf-8", "replace") for path in files)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_key_stays_out_of_everything_else(helper: Command, tmp_path: Path) -> None:
    for kind, reference in references(helper.home).items():
        given = {"K": CANARY} if kind == "env" else {}
        process = helper.start(reference, "--for", URL, environment=given)
        watched = 0
        while process.poll() is None:
            assert not any(CANARY in line for line in command_lines())
            watched += 1
        out, err = process.communicate()
        assert (out.decode(), err.decode()) == (f"{CANARY}\n", "") and watched, kind
    product = replace(helper, program=(PROGRAM,))
    product.settings.write_text(
        f"secrets: {{env: {{required_keys: [K, GONE]}}, file: {{path: {helper.home}/keys.age, "
        "required_keys: [K, TWO_WORDS]}}"
    )
    for words in (["config", "validate"], ["config", "show"]):
        for more in ([], ["--json"]):
            answer = product(*words, *more, K=CANARY)
            assert CANARY not in answer.out + answer.err
    assert product("config", "validate", "--json", K=CANARY).error["code"] == "secret.malformed"
    seal(helper.home / "keys.age", lines({"K": CANARY}))
    error = product("config", "validate", "--json", K=CANARY).error
    assert error["code"] == "secret.required" and "env:GONE" in error["message"]
    assert "file:" in error["message"] and "#TWO_WORDS" in error["message"]
    left = texts_below(helper.home, tmp_path / "tmp")
    assert CANARY not in left and "opened" in left
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.fixture
def served(helper: Command) -> Iterator[Daemon]:
    """A daemon of the same home that may use the same stores."""
    with running(replace(helper, program=(PROGRAM,)), "--set", "log_level=debug") as daemon:
        yield daemon


@pytest.mark.postgres
def test_a_running_daemon_remembers_slow_keys_in_memory_alone(
    helper: Command, served: Daemon, tmp_path: Path
) -> None:
    opened = helper.home / "opened"
    file = references(helper.home)["file"]
    for _ in range(3):
        assert ask(helper, file).out == f"{CANARY}\n"
        assert ask(helper, references(helper.home)["keyring"]).out == f"{CANARY}\n"
    assert opened.read_text() == "opened\n", "decrypted once, and by the daemon"
    refused = ask(helper, file, ANTHROPIC_BASE_URL="https://evil.example")
    assert refused.status == 6 and refused.out == ""
    seal(helper.home / "keys.age", lines({"K": f"{CANARY}-new"}))
    assert ask(helper, file).out == f"{CANARY}-new\n"
    (helper.home / "keys.age").chmod(0o644)
    assert ask(helper, file).err.endswith("[secret.exposed]\n")
    with served.client() as client:
        for body, status, code in [
            ({"reference": "env:K"}, 400, "secret.own_environment"),
            ({"reference": CANARY}, 400, "secret.reference"),
            ({"reference": 5}, 400, "input.invalid"),
            ({"reference": file}, 403, "secret.exposed"),
        ]:
            answer = client.post(ROUTE, json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        client.post(ROUTE, json={"reference": "keyring:service/K"}).raise_for_status()
        for path in ("/metrics", "/api/v1/openapi.json", "/api/v1/docs", "/api/v1/status"):
            assert CANARY not in client.get(path).text
        assert client.get(f"{ROUTE}?reference=keyring:service/K").status_code == 405
        tools = client.post(
            "/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}},
            headers={"accept": "application/json, text/event-stream"},
        )  # fmt: skip
        assert tools.status_code == 200 and "resolve_secret" not in tools.text
        del client.headers["authorization"]
        assert client.post(ROUTE, json={"reference": "keyring:service/K"}).status_code == 401
    assert CANARY not in served.log and '"path": "/api/v1/secrets/resolve"' in served.log
    assert CANARY not in texts_below(helper.home, tmp_path / "tmp")


@pytest.mark.postgres
def test_where_the_daemon_cannot_open_a_key_the_helper_does(
    helper: Command, served: Daemon, tmp_path: Path
) -> None:
    """It may have been started without what asks for a passphrase."""
    own = stand_ins(tmp_path / "own", age="tail -n +2 | tr A-Za-z N-ZA-Mn-za-m")
    (tmp_path / "bin/age").write_text("#!/bin/sh\nexit 1\n")
    assert ask(helper, references(helper.home)["file"], PATH=own["PATH"]).out == f"{CANARY}\n"
    started = time.monotonic()
    served.command("down", "--force")
    assert ask(helper, references(helper.home)["keyring"]).out == f"{CANARY}\n"
    assert time.monotonic() - started < 30
