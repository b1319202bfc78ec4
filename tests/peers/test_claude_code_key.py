"""
The real Claude Code with `mahavishnu-key` for a helper: the key reaches its endpoint, and no other.

The endpoints are stubs on the loopback interface, told apart by their ports.
"""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.ai.clients.key_command import helper_line, helper_words
from mahavishnu.ai.clients.requests import LOCAL_HOSTS
from mahavishnu.ai.secrets.reference import parse_reference
from tests.peers.test_claude_code import claude as claude
from tests.support.command import PROGRAM
from tests.support.kept_secrets import lines, private, seal, stand_ins
from tests.support.peers.provider_stub import ProviderStub, provider_stub

pytestmark = [pytest.mark.peer, pytest.mark.leak]

KEY = "sk-fake-canary-of-the-first-endpoint"


@dataclass(frozen=True)
class Client:
    """Claude Code in a home and a project of the test's own."""

    program: Path
    home: Path
    reference: str
    environ: dict[str, str]

    @property
    def project(self) -> Path:
        """The folder it is started in."""
        return self.home / "project"

    def configure(self, bound: str, asked: str) -> None:
        """Give the user's settings a helper bound to one endpoint, and the address of one."""
        words = helper_words(
            parse_reference(self.reference), bound=bound, client="claude-code",
            program=PROGRAM.with_name("mahavishnu-key"),
        )  # fmt: skip
        values = {"env": self.env(asked), "apiKeyHelper": helper_line(words)}
        write(self.home / ".claude/settings.json", values)

    @staticmethod
    def env(asked: str) -> dict[str, str]:
        """Return what a switch to an endpoint writes."""
        return {
            "ANTHROPIC_BASE_URL": asked, "ANTHROPIC_AUTH_TOKEN": "", "ANTHROPIC_API_KEY": "",
        }  # fmt: skip

    def run(self, folder: str = ".") -> subprocess.CompletedProcess[str]:
        """Ask it one thing, in a folder of the project."""
        return subprocess.run(
            [self.program, "-p", "Say something."], env=self.environ, cwd=self.project / folder,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip


def write(path: Path, values: dict[str, Any]) -> None:
    """Write settings of Claude Code."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))


def link_worktree(main: Path, folder: Path) -> None:
    """Make a checkout, and of an empty folder a worktree of it."""
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", str(main)]
    environ = {"PATH": os.environ["PATH"], "HOME": str(main)}
    main.mkdir()
    for words in (
        ["init", "--quiet"],
        ["commit", "--quiet", "--allow-empty", "--message", "x"],
        ["worktree", "add", "--quiet", str(folder)],
    ):
        subprocess.run([*git, *words], env=environ, check=True)


def credentials(stub: ProviderStub) -> set[str | None]:
    """Return what the requests for the model brought along."""
    return {each.headers.get("authorization") for each in stub.turns}


def shown(stub: ProviderStub) -> str:
    """Return all that a stub was told in headers and paths."""
    return str([(each.path, each.headers, each.body) for each in stub.asked])


@pytest.fixture(params=["env", "file"])
def client(request: pytest.FixtureRequest, claude: Path, tmp_path: Path) -> Client:
    home = tmp_path / "home"
    (home / "project").mkdir(parents=True)
    environ = {
        **stand_ins(tmp_path / "bin"),
        "HOME": str(home),
        "TMPDIR": str(tmp_path),
        "MAHAVISHNU_HOME": str(home / "mahavishnu"),
        "TERM": "dumb",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_MAX_RETRIES": "0",
        **{name: value for name, value in os.environ.items() if name == "PYTHONPATH"},
    }
    if request.param == "env":
        return Client(claude, home, "env:ZAI_KEY", environ | {"ZAI_KEY": KEY})
    seal(home / "keys.age", lines({"ZAI_KEY": KEY}))
    config = home / "mahavishnu/config"
    config.mkdir(parents=True)
    private(config / "age-identity.txt", "x")
    return Client(claude, home, f"file:{home}/keys.age#ZAI_KEY", environ)


@pytest.mark.verifies("Claude Code, key by helper")
def test_the_key_reaches_the_endpoint_it_is_bound_to(client: Client, tmp_path: Path) -> None:
    with provider_stub() as (stub, url):
        client.configure(bound=url, asked=url)
        done = client.run()
    assert done.returncode == 0, done
    assert credentials(stub) == {f"Bearer {KEY}"}
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in written if KEY in path.read_text(errors="replace")]
    assert KEY not in done.stdout + done.stderr


def test_a_changed_address_does_not_get_the_key(client: Client) -> None:
    with provider_stub() as (_, url), provider_stub() as (other, elsewhere):
        client.configure(bound=url, asked=elsewhere)
        done = client.run()
    assert KEY not in shown(other), done
    assert "[secret.other_host]" in done.stderr, done


@pytest.mark.parametrize("name", ["settings.json", "settings.local.json"])
def test_a_cloned_repository_does_not_get_the_key(client: Client, name: str) -> None:
    """Its own settings rank above the user's, and count only after the helper was asked."""
    with provider_stub() as (stub, url), provider_stub() as (other, elsewhere):
        client.configure(bound=url, asked=url)
        write(client.project / ".claude" / name, {"env": {"ANTHROPIC_BASE_URL": elsewhere}})
        done = client.run()
    assert KEY not in shown(other) and not stub.turns, done
    assert "[secret.project_redirects]" in done.stderr, done


def test_a_cloned_repository_with_settings_in_utf_16_does_not_get_the_key(client: Client) -> None:
    """Claude Code reads them."""
    with provider_stub() as (_, url), provider_stub() as (other, elsewhere):
        client.configure(bound=url, asked=url)
        path = client.project / ".claude/settings.json"
        write(path, {"env": {"ANTHROPIC_BASE_URL": elsewhere}})
        path.write_text(path.read_text(), encoding="utf-16")
        done = client.run()
    assert other.asked, done  # it went there
    assert KEY not in shown(other), done
    assert "[secret.project_redirects]" in done.stderr, done


@pytest.mark.parametrize("folder", [".", "src"])
def test_the_checkout_of_a_worktree_does_not_get_the_key(client: Client, folder: str) -> None:
    """Claude Code reads the local settings of the main checkout in a linked worktree."""
    with provider_stub() as (_, url), provider_stub() as (other, elsewhere):
        client.configure(bound=url, asked=url)
        main = client.home / "main"
        link_worktree(main, client.project)
        (client.project / "src").mkdir()
        local = {"env": {"ANTHROPIC_BASE_URL": elsewhere}}
        write(main / ".claude/settings.local.json", local)
        done = client.run(folder)
    assert other.asked, done  # it went there
    assert KEY not in shown(other), done
    assert "[secret.project_redirects]" in done.stderr, done


def test_a_worktree_of_a_harmless_checkout_gets_the_key(client: Client) -> None:
    with provider_stub() as (stub, url):
        client.configure(bound=url, asked=url)
        link_worktree(client.home / "main", client.project)
        write(client.home / "main/.claude/settings.local.json", {"env": {"MINE": "1"}})
        done = client.run()
    assert credentials(stub) == {f"Bearer {KEY}"}, done


def test_a_project_that_takes_the_address_away_does_not_lead_the_key_to_anthropic(
    client: Client,
) -> None:
    """Where the address is "", Claude Code asks its own host; the port 9 has nobody, as the proxy."""
    client.environ.update(HTTPS_PROXY="http://127.0.0.1:9", NO_PROXY="127.0.0.1")
    with provider_stub() as (stub, url):
        client.configure(bound=url, asked=url)
        write(client.project / ".claude/settings.json", {"env": {"ANTHROPIC_BASE_URL": ""}})
        done = client.run()
    assert not stub.turns and "[secret.project_redirects]" in done.stderr, done


HOSTS = ",".join(LOCAL_HOSTS)


@pytest.mark.parametrize(
    ("exported", "in_project", "code"),
    [
        ({}, None, "secret.proxy"),
        ({"NO_PROXY": "127.0.0.1", "no_proxy": "x"}, None, "secret.proxy"),
        ({"NO_PROXY": "127.0.0.1"}, {"NO_PROXY": ""}, "secret.project_redirects"),
        ({"NO_PROXY": HOSTS, "no_proxy": HOSTS}, None, None),
    ],
)
def test_a_proxy_does_not_get_the_key_of_an_endpoint_on_this_machine(
    client: Client, exported: dict[str, str], in_project: dict[str, str] | None, code: str | None
) -> None:
    with provider_stub() as (stub, url), provider_stub() as (proxy, through):
        client.configure(bound=url, asked=url)
        client.environ.update(HTTP_PROXY=through, **exported)
        if in_project is not None:
            write(client.project / ".claude/settings.json", {"env": in_project})
        done = client.run()
    assert KEY not in shown(proxy), done
    if code is None:
        assert credentials(stub) == {f"Bearer {KEY}"} and not proxy.asked, done
    else:
        assert f"[{code}]" in done.stderr and proxy.asked, done  # it went there


def test_a_cloud_does_not_get_the_key(client: Client) -> None:
    """Claude Code, told to use one, takes the helper's key there, whatever address is configured."""
    with provider_stub() as (stub, url), provider_stub() as (cloud, elsewhere):
        client.configure(bound=url, asked=url)
        client.environ.update(
            CLAUDE_CODE_USE_VERTEX="1", CLAUDE_CODE_SKIP_VERTEX_AUTH="1", CLOUD_ML_REGION="us-east5",
            ANTHROPIC_VERTEX_BASE_URL=elsewhere, ANTHROPIC_VERTEX_PROJECT_ID="x",
        )  # fmt: skip
        done = client.run()
    assert cloud.asked, done  # it went there
    assert KEY not in shown(cloud) + shown(stub), done
    assert "[secret.other_host]" in done.stderr, done
