"""Cloud stores without a cloud: what the settings may say, and what is paid and told where Oneiric is not there."""

import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.ai.clients.key_command import helper_line, helper_words
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.secrets.kept import KeptSecrets
from mahavishnu.ai.secrets.oneiric import store, stores
from mahavishnu.ai.secrets.oneiric.failures import failure_of, is_missing
from mahavishnu.ai.secrets.oneiric.store import OneiricStore
from mahavishnu.ai.secrets.oneiric.stores import AwsStore, Stores
from mahavishnu.ai.secrets.reference import parse_reference
from mahavishnu.ai.secrets.resolve import resolve
from mahavishnu.ai.switching.redaction import redact
from mahavishnu.ai.switching.status import key_state
from mahavishnu.base.errors import Forbidden, MahavishnuError, Unavailable, UsageError
from mahavishnu.base.masking import Secret
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.base.settings.trust import trust
from mahavishnu.operations.ai.secret_settings import cloud_stores, own_stores
from tests.support.command import Command
from tests.support.switching import site_in

REFERENCE = parse_reference("oneiric:aws/id#FIELD")
ANY_LATER = "oneiric==0.33.3; python_version>='3.14'"
MAIN = AwsStore(name="main", region="eu-west-1")


def settings(home: Path, text: str) -> dict[str, str]:
    """Write the user's settings; returns the environment for them."""
    path = home / "mahavishnu/config/mahavishnu.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return {"HOME": str(home), "MAHAVISHNU_HOME": str(home / "mahavishnu")}


def test_the_settings_name_stores_of_each_provider(tmp_path: Path) -> None:
    environ = settings(
        tmp_path,
        """
secrets:
  oneiric:
    timeout: 3
    selections: [aws/replica]
    aws:
      main: {region: eu-west-1, priority: 10}
      replica: {region: eu-central-1, endpoint_url: "http://127.0.0.1:4566", probe: team/probe}
    gcp:
      main: {project_id: team, credentials_file: ~/gcp.json}
""",
    )
    found = own_stores(environ)
    assert [f"{each.provider}/{each.name}" for each in found.all] == [
        "aws/main", "aws/replica", "gcp/main",
    ]  # fmt: skip
    assert (found.timeout_s, found.selections) == (3, (("aws", "replica"),))
    assert found.all[2].credentials_file == f"{tmp_path}/gcp.json"  # type: ignore[union-attr]
    assert hash(found) != hash(Stores(found.all))


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("aws: {main: {priority: 1}}", "aws.main.region"),
        ("aws: {main: {region: r, endpoint_url: 'http://evil.example'}}", "aws.main.endpoint_url"),
        ("aws: {main: {region: r, endpoint_url: 'https://me:canary@h'}}", "aws.main.endpoint_url"),
        ("aws: {main: {region: r, probe: 'a b'}}", "aws.main.probe"),
        ("aws: {'A B': {region: r}}", "aws"),
        ("gcp: {main: {}}", "gcp.main"),
        ("gcp: {main: {project_id: p, credentials_file: here.json}}", "gcp.main.credentials_file"),
        ("selections: [aws/none]", "selections"),
        ("{aws: {a: {region: r}, b: {region: r}}, selections: [aws/a, aws/b]}", "selections"),
        ("aws: {main: {region: r, priority: canary}}", "aws.main.priority"),
        ("aws: {main: {region: r, secret_access_key: canary}}", "aws.main.secret_access_key"),
        ("timeout: 3600", "timeout"),
    ],
)  # fmt: skip
def test_what_names_no_store_is_refused_by_the_setting_and_without_its_value(
    tmp_path: Path, said: str, at: str
) -> None:
    environ = settings(tmp_path, f"secrets:\n  oneiric:\n    {said}\n")
    if said == "gcp: {main: {}}":  # nothing is said, so that nothing is there
        assert own_stores(environ).all == ()
        return
    with pytest.raises(UsageError) as caught:
        own_stores(environ)
    assert f"secrets.oneiric.{at}" in caught.value.message
    assert "canary" not in f"{caught.value.message}{caught.value.hint}"


def test_a_project_names_no_stores_trusted_or_not(tmp_path: Path) -> None:
    environ = settings(tmp_path, "secrets: {oneiric: {aws: {main: {region: eu-west-1}}}}")
    project = tmp_path / "project"
    (project / "settings").mkdir(parents=True)
    (project / "settings/mahavishnu.yaml").write_text("secrets.oneiric.aws.main.region: evil-1\n")
    untrusted = cloud_stores(load_settings(environ=environ, folder=project))
    assert untrusted == own_stores(environ) and untrusted.all == (MAIN,)
    trust(project, load_settings(environ=environ, folder=project).locations)
    with pytest.raises(Forbidden) as caught:
        cloud_stores(load_settings(environ=environ, folder=project))
    assert caught.value.code == "secret.store_of_project"
    assert str(project) in caught.value.message


def test_without_a_store_it_is_said_how_to_add_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(REFERENCE, environ={}, identity=tmp_path, stores=Stores)
    assert caught.value.code == "secret.no_store"
    assert "secrets.oneiric.aws.main.region" in (caught.value.hint or "")


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "find_spec", lambda _: None)


@pytest.mark.usefixtures("not_installed")
def test_without_oneiric_the_command_that_installs_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        resolve(REFERENCE, environ={}, identity=tmp_path, stores=lambda: Stores((MAIN,)))
    assert caught.value.code == "secret.no_oneiric"
    pins = "'oneiric==0.17.0' 'aioboto3>=15.5,<16'"
    assert caught.value.hint == f"Install it: {sys.executable} -m pip install {pins}"
    with OneiricStore(Stores((MAIN,))) as opened:
        [health] = opened.health()
    assert (health.name, health.status) == ("aws/main", "unhealthy")
    assert "[secret.no_oneiric]" in health.message


def test_what_is_to_be_installed_is_what_the_extra_says() -> None:
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    extra = tomllib.loads(pyproject.read_text())["project"]["optional-dependencies"]["oneiric"]
    assert extra == [f"{stores.PINS[0]}; python_version<'3.14'", ANY_LATER, stores.PINS[1]]


def profile(reference: str) -> Profile:
    return Profile(
        name="work",
        endpoints={"anthropic": "https://llm.example.com"},
        key=parse_reference(reference),
    )


def test_a_look_at_profiles_asks_no_cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(store.OneiricStore, "_start", asked)
    site = replace(site_in(tmp_path), stores=lambda: Stores((MAIN,)))
    monkeypatch.setattr(stores, "find_spec", lambda _: object())
    assert key_state(site, profile("oneiric:aws/id")) == "not asked"
    assert key_state(site, profile("oneiric:gcp/id")) == "no store"
    monkeypatch.setattr(stores, "find_spec", lambda _: None)
    assert key_state(site, profile("oneiric:aws/id")) == "not installed"


def test_a_reference_to_a_cloud_is_no_key_to_be_masked() -> None:
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:team/llm-AbCdEf"
    words = helper_words(
        parse_reference(f"oneiric:aws/{arn}#ZAI"), bound="https://api.z.ai", client="claude-code",
        program=Path("/usr/bin/mahavishnu-key"),
    )  # fmt: skip
    line = helper_line(words)
    assert redact(line, ("apiKeyHelper",), lambda _: False, "salt") == line


class Canary(Exception):
    """An error of a library with a key in all that it has."""

    def __init__(self, **more: Any) -> None:
        super().__init__("sk-fake-canary")
        self.__dict__.update(more)


def response(code: object) -> Exception:
    return Canary(response={"Error": {"Code": code, "Message": "canary"}})


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TimeoutError("canary"), "secret.timeout"),
        (response("ThrottlingException"), "secret.throttled"),
        (response("AccessDeniedException"), "secret.denied"),
        (response("sk-fake-canary"), "secret.store_failed"),
        (response(None), "secret.store_failed"),
        (UnicodeDecodeError("utf-8", b"canary", 0, 1, "canary"), "secret.malformed"),
        (type("NoCredentialsError", (Canary,), {})(), "secret.no_credentials"),
        (type("ResourceExhausted", (Canary,), {})(), "secret.throttled"),
        (OSError("canary 404"), "secret.store_failed"),
    ],
)
def test_an_error_of_a_library_is_known_by_type_and_code_alone(error: Exception, code: str) -> None:
    made = failure_of(error, "aws/main", timeout_s=3)
    assert made.code == code and made.hint and not is_missing(error)
    assert "canary" not in f"{made.message}{made.hint}{vars(made)}"
    assert made.__cause__ is None and made.__context__ is None
    assert isinstance(made, MahavishnuError) and failure_of(made, "x", timeout_s=1) is made
    assert is_missing(response("ResourceNotFoundException"))


class Counting:
    """Stands in for the open cloud stores of a daemon."""

    def __init__(self) -> None:
        self.followed: list[Stores] = []
        self.asked = self.closed = 0

    def follow(self, stores: Stores) -> None:
        """Note the settings."""
        self.followed.append(stores)

    def read(self, _reference: object) -> Secret:
        """Return a key."""
        self.asked += 1
        return Secret(f"sk-fake-{self.asked}")

    def close(self) -> None:
        """Note it."""
        self.closed += 1


async def test_the_daemon_keeps_stores_open_follows_the_settings_and_closes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mahavishnu.ai.secrets import kept as module

    clouds, now = Counting(), [Stores((MAIN,))]
    made: list[Stores] = []
    monkeypatch.setattr(module, "open_clouds", lambda stores, **_: made.append(stores) or clouds)
    kept = KeptSecrets()

    async def read() -> str:
        secret = await kept.read(REFERENCE, environ={}, identity=tmp_path, stores=lambda: now[0])
        return secret.reveal()

    assert [await read(), await read()] == ["sk-fake-1", "sk-fake-1"]
    now[0] = Stores((AwsStore(name="main", region="eu-central-1"),))
    assert await read() == "sk-fake-2"
    assert len(made) == 1 and clouds.followed == [made[0], now[0]]
    await kept.aclose()
    await kept.aclose()
    assert clouds.closed == 1 and not kept._kept


HEAVY = "{m.partition('.')[0] for m in sys.modules} & {'oneiric', 'aioboto3', 'botocore', 'google', 'pydantic'}"


@pytest.mark.parametrize(
    "code",
    [
        "sys.argv = ['mahavishnu-key', 'env:K', '--for', 'https://api.anthropic.com']\n"
        "from mahavishnu.interfaces.cli.key import main\nmain()",
        "sys.argv = ['mahavishnu', 'ai', 'status']\nfrom mahavishnu.interfaces.cli.root import main",
        "sys.argv = ['mahavishnu', 'ai', 'list-llms']\nfrom mahavishnu.interfaces.cli.root import main",
    ],
)
def test_nobody_pays_for_oneiric_who_does_not_ask_it(tmp_path: Path, code: str) -> None:
    text = """
secrets: {oneiric: {aws: {main: {region: eu-west-1}}}}
ai_environments:
  llm_profiles:
    work: {anthropic_base_url: "https://llm.example.com", key: "oneiric:aws/id"}
"""
    environ = Command(tmp_path).environ() | settings(tmp_path, text) | {"K": "sk-fake"}
    run = code if "main()" in code else f"{code}\ntry: main()\nexcept SystemExit: pass"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{run}\nsys.stderr.write(str({HEAVY}))"],
        env=environ, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr.endswith("set()"), done
    assert "work" in done.stdout or "sk-fake" in done.stdout or "Claude" in done.stdout
