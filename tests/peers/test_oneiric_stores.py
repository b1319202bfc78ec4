"""Keys in cloud stores by Oneiric's adapters: the contract, and what a cloud can do to whoever asks it."""

import json
import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from mahavishnu.ai.secrets.reference import parse_reference
from mahavishnu.base.errors import Corrupt, Forbidden, MahavishnuError, NotFound, Unavailable
from tests.peers.conftest import require_peers
from tests.support.kept_secrets import Kept
from tests.support.secrets_contract import KEY, SecretStoreContract, told

pytestmark = pytest.mark.peer
require_peers("oneiric", "moto")

from tests.support.peers import clouds  # noqa: E402


@pytest.fixture(scope="module")
def aws_url() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in clouds.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


class Aws:
    """The AWS of a test, written to by its own client."""

    def __init__(self, url: str) -> None:
        import boto3

        self.client = boto3.client("secretsmanager", region_name="eu-west-1", endpoint_url=url)

    def put(self, identifier: str, **value: Any) -> None:
        """Make a secret, or a new version of it."""
        try:
            self.client.create_secret(Name=identifier, **value)
        except self.client.exceptions.ResourceExistsException:
            self.client.put_secret_value(SecretId=identifier, **value)

    def remove(self) -> None:
        """Take all secrets away."""
        for each in self.client.list_secrets()["SecretList"]:
            self.client.delete_secret(SecretId=each["ARN"], ForceDeleteWithoutRecovery=True)


@pytest.fixture
def aws(aws_url: str) -> Iterator[Aws]:
    made = Aws(aws_url)
    yield made
    made.remove()


@pytest.fixture(params=["aws-fields", "aws-whole", "gcp"])
def kept(request: pytest.FixtureRequest) -> Iterator[Kept]:
    yield from {
        "aws-fields": _aws_fields,
        "aws-whole": _aws_whole,
        "gcp": _gcp,
    }[request.param](request)


class TestClouds(SecretStoreContract):
    """All of them."""


def _aws_fields(request: pytest.FixtureRequest) -> Iterator[Kept]:
    aws: Aws = request.getfixturevalue("aws")

    def put(values: Mapping[str, str]) -> None:
        aws.put("team/llm.keys@prod", SecretString=json.dumps(dict(values)))

    with clouds.opened(clouds.aws_store(request.getfixturevalue("aws_url"))) as store:
        yield Kept(store, put, "oneiric:aws/team/llm.keys@prod#{}".format)


def _aws_whole(request: pytest.FixtureRequest) -> Iterator[Kept]:
    aws: Aws = request.getfixturevalue("aws")

    def put(values: Mapping[str, str]) -> None:
        for name, value in values.items():
            aws.put(f"llm/{name}", SecretString=value)

    with clouds.opened(clouds.aws_store(request.getfixturevalue("aws_url"))) as store:
        yield Kept(store, put, "oneiric:aws/llm/{}".format)


def _gcp(_request: pytest.FixtureRequest) -> Iterator[Kept]:
    client = clouds.FakeGoogle()

    def put(values: Mapping[str, str]) -> None:
        client.values = {name: value.encode() for name, value in values.items()}

    with clouds.opened(clouds.gcp_store(), make=clouds.google(client)) as store:
        yield Kept(store, put, "oneiric:gcp/{}".format)
    assert client.closed == 1


@pytest.mark.verifies("AWS Secrets Manager, by Oneiric")
def test_an_arn_is_an_id_and_the_date_of_the_version_is_told(aws: Aws, aws_url: str) -> None:
    arn = aws.client.create_secret(Name="of/arn", SecretString=KEY)["ARN"]
    with clouds.opened(clouds.aws_store(aws_url)) as store:
        key, answer = store.look(parse_reference(f"oneiric:aws/{arn}"))
    assert key.reveal() == KEY and answer.store == "aws/main"
    assert answer.created_at is not None and time.time() - answer.created_at.timestamp() < 60
    assert KEY not in repr(answer)


def test_what_is_not_text_or_no_object_is_said_to_be_so(aws: Aws, aws_url: str) -> None:
    aws.put("binary", SecretBinary=b"\xff\xfe canary")
    aws.put("plain", SecretString="sk-fake-canary")
    aws.put("list", SecretString='["canary"]')
    aws.put("number", SecretString='{"N": 3, "NULL": null}')
    with clouds.opened(clouds.aws_store(aws_url)) as store:
        for text, kind in (
            ("binary", Corrupt), ("plain#FIELD", Corrupt), ("list#FIELD", Corrupt),
            ("number#N", NotFound), ("number#NULL", NotFound), ("number#NONE", NotFound),
        ):  # fmt: skip
            with pytest.raises(kind) as caught:
                store.read(parse_reference(f"oneiric:aws/{text}"))
            assert "canary" not in told(caught.value), text


def test_a_secret_that_is_being_deleted_is_a_missing_one(aws: Aws, aws_url: str) -> None:
    aws.put("going", SecretString=KEY)
    aws.client.delete_secret(SecretId="going")
    with (
        clouds.opened(clouds.aws_store(aws_url)) as store,
        pytest.raises(NotFound) as caught,
    ):
        store.read(parse_reference("oneiric:aws/going"))
    assert caught.value.code == "secret.missing"


def test_a_field_rotated_between_two_questions_is_the_new_one(aws: Aws, aws_url: str) -> None:
    reference = parse_reference("oneiric:aws/rotated#K")
    aws.put("rotated", SecretString='{"K": "sk-fake-old"}')
    with clouds.opened(clouds.aws_store(aws_url)) as store:
        assert store.read(reference).reveal() == "sk-fake-old"
        aws.put("rotated", SecretString='{"K": "sk-fake-new"}')
        assert store.read(reference).reveal() == "sk-fake-new"
    with clouds.opened(clouds.aws_store(aws_url, version_stage="AWSPREVIOUS")) as store:
        assert store.read(reference).reveal() == "sk-fake-old"


@pytest.mark.parametrize(
    ("code", "kind", "ours"),
    [
        ("ThrottlingException", Unavailable, "secret.throttled"),
        ("AccessDeniedException", Forbidden, "secret.denied"),
        ("ExpiredTokenException", Forbidden, "secret.denied"),
        ("InternalServiceError", Unavailable, "secret.store_failed"),
        ("sk-fake-canary in a code", Unavailable, "secret.store_failed"),
        ("ResourceNotFoundException", NotFound, "secret.missing"),
    ],
)
def test_what_aws_answers_becomes_an_error_of_ours(
    code: str, kind: type[MahavishnuError], ours: str, capfd: pytest.CaptureFixture[str]
) -> None:
    faulty = clouds.FaultyAws(code)
    with (
        faulty.serve() as url,
        clouds.opened(clouds.aws_store(url)) as store,
        pytest.raises(kind) as caught,
    ):
        store.read(parse_reference("oneiric:aws/id"))
    assert caught.value.code == ours and caught.value.hint
    assert "canary" not in told(caught.value)
    printed = capfd.readouterr()
    assert printed.out == "" and "canary" not in printed.err


def test_a_slow_store_is_waited_for_in_bounds_and_closed(capfd: pytest.CaptureFixture[str]) -> None:
    faulty = clouds.FaultyAws(wait_s=30)
    with (
        faulty.serve() as url,
        clouds.opened(clouds.aws_store(url), timeout_s=1) as store,
        pytest.raises(Unavailable) as caught,
    ):
        store.read(parse_reference("oneiric:aws/id"))
    assert caught.value.code == "secret.timeout" and "aws/main" in caught.value.message
    assert capfd.readouterr().out == ""


def test_a_store_that_is_down_is_not_one_without_the_secret() -> None:
    """Oneiric takes any error with 404 in its text for that, and here it is in the port."""
    url = clouds.nobody()
    assert "404" in url
    with clouds.opened(clouds.aws_store(url)) as store, pytest.raises(Unavailable) as caught:
        store.read(parse_reference("oneiric:aws/id"))
    assert caught.value.code == "secret.store_failed"
    assert "EndpointConnectionError" in caught.value.message


def test_without_credentials_it_says_so(aws_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in clouds.CREDENTIALS:
        monkeypatch.delenv(name)
    with clouds.opened(clouds.aws_store(aws_url)) as store, pytest.raises(Forbidden) as caught:
        store.read(parse_reference("oneiric:aws/id"))
    assert caught.value.code == "secret.no_credentials"


@pytest.mark.leak
def test_an_address_in_the_environment_does_not_lead_aws_elsewhere(
    aws: Aws, aws_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mahavishnu.ai.secrets.oneiric import providers

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://evil.example")
    aws.put("id", SecretString=KEY)
    with clouds.opened(clouds.aws_store(aws_url)) as store:
        assert store.read(parse_reference("oneiric:aws/id")).reveal() == KEY

    async def address() -> str:
        opened = await providers._open_aws(
            clouds.AwsStore(name="main", region="eu-west-1"), providers.Dates()
        )
        try:
            return str(opened._client.meta.endpoint_url)
        finally:
            await opened.close()

    import asyncio

    assert asyncio.run(address()) == "https://secretsmanager.eu-west-1.amazonaws.com"


def test_google_refusing_throttling_and_down() -> None:
    from google.api_core import exceptions

    text = "sk-fake-canary"
    for error, kind, ours in (
        (exceptions.PermissionDenied(text), Forbidden, "secret.denied"),
        (exceptions.Unauthenticated(text), Forbidden, "secret.denied"),
        (exceptions.ResourceExhausted(text), Unavailable, "secret.throttled"),
        (exceptions.ServiceUnavailable(f"{text} 404"), Unavailable, "secret.store_failed"),
        (exceptions.FailedPrecondition(text), NotFound, "secret.missing"),
        (ValueError(text), Unavailable, "secret.store_failed"),
    ):

        async def fail(error: Exception = error) -> None:
            raise error

        client = clouds.FakeGoogle(fault=fail)
        with (
            clouds.opened(clouds.gcp_store(), make=clouds.google(client)) as store,
            pytest.raises(kind) as caught,
        ):
            store.read(parse_reference("oneiric:gcp/id"))
        assert caught.value.code == ours, error
        assert "canary" not in told(caught.value)


def test_google_without_credentials_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_GCE_CHECK", "true")  # it would look for a machine of Google's around it
    with clouds.opened(clouds.gcp_store()) as store, pytest.raises(Forbidden) as caught:
        store.read(parse_reference("oneiric:gcp/id"))
    assert caught.value.code == "secret.no_credentials"
    missing = clouds.gcp_store(credentials_file="/nonexistent/gcp.json")
    with clouds.opened(missing) as store, pytest.raises(Forbidden) as caught:
        store.read(parse_reference("oneiric:gcp/id"))
    assert "FileNotFoundError" in caught.value.message


@pytest.mark.leak
def test_a_store_of_this_machine_is_not_asked_by_way_of_a_proxy(
    aws: Aws, aws_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked by http: the key would be open to read there."""
    aws.put("id", SecretString=KEY)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, clouds.nobody())
    with clouds.opened(clouds.aws_store(aws_url)) as store:
        assert store.read(parse_reference("oneiric:aws/id")).reveal() == KEY


def test_nothing_shows_a_key_in_logs_however_much_is_logged(
    aws: Aws, aws_url: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    from mahavishnu.base.logs import set_log_level

    aws.put("id", SecretString=json.dumps({"K": KEY}))
    aws.put("binary", SecretBinary=f"{KEY}\xff".encode("latin-1"))
    set_log_level("debug")
    caplog.set_level(logging.DEBUG)  # as a host may: AWS's client would log whole answers
    try:
        with clouds.opened(clouds.aws_store(aws_url)) as store:
            assert store.read(parse_reference("oneiric:aws/id#K")).reveal() == KEY
            store.health()
            with pytest.raises(Corrupt):
                store.read(parse_reference("oneiric:aws/binary"))
    finally:
        set_log_level("warning")
    printed = capfd.readouterr()
    assert printed.out == ""
    assert KEY not in printed.err and KEY not in caplog.text
