"""`verify` against servers on the loopback interface: what they are sent, and what is said of them."""

import asyncio
import datetime
import io
import ssl
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from msgspec import structs

from mahavishnu.ai.clients.delivery import Protocol
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.secrets.in_environment import EnvironmentStore
from mahavishnu.ai.secrets.reference import parse_reference
from mahavishnu.ai.switching.answers import AnswerVerdict
from mahavishnu.ai.switching.verify import Trial, verify
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.interfaces.cli.ai.switch_llm import code_of, judge
from mahavishnu.operations.ai.site import Environments
from mahavishnu.operations.ai.switching import switched
from mahavishnu.operations.ai.verification import trial_body
from tests.support.external import free_port
from tests.support.fake_servers import DROP, FakeServer, Reply, Request, json_reply
from tests.support.switching import ONE, install, site_in, switch_to

KEY = "sk-canary-of-verify-0123"
ANSWERS: dict[Protocol, object] = {
    "anthropic": {"type": "message", "content": []},
    "openai-responses": {"object": "response", "output": []},
    "openai-chat": {"choices": []},
}


def profile(url: str, protocol: Protocol = "anthropic", model: str | None = "large") -> Profile:
    reference = parse_reference("env:P_KEY")
    return Profile(name="p", endpoints={protocol: url}, key=reference, model=model)


async def ask(asked: Profile, *, timeout_s: float = 10, **environ: str) -> Trial:
    store = EnvironmentStore({"P_KEY": KEY, **environ})
    [trial] = await asyncio.to_thread(verify, asked, resolve=store.read, timeout_s=timeout_s)
    assert KEY not in repr(trial)
    return trial


def answering(reply: Reply) -> FakeServer:
    return FakeServer(lambda _: reply)


@pytest.mark.parametrize(
    ("protocol", "path", "limit"),
    [
        ("anthropic", "/base/v1/messages", {"max_tokens": 1}),
        ("openai-chat", "/base/chat/completions", {"max_tokens": 1}),
        ("openai-responses", "/base/responses", {"max_output_tokens": 16}),
    ],
)
async def test_one_cheap_request_by_the_protocol(
    protocol: Protocol, path: str, limit: dict[str, int]
) -> None:
    async with answering(json_reply(ANSWERS[protocol])) as server:
        host = server.url.removeprefix("http://")
        trial = await ask(profile(f"http://{host}/base/", protocol))
    assert (trial.verdict, trial.status, trial.model) == ("ok", 200, "large")
    [request] = server.requests
    assert (request.method, request.path) == ("POST", path)
    assert request.headers["host"] == host
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert ("x-api-key" in request.headers) == (protocol == "anthropic")
    assert request.json["model"] == "large" and limit.items() <= request.json.items()


async def test_without_a_model_the_list_of_models_is_asked_for() -> None:
    async with answering(json_reply({"data": []})) as server:
        trial = await ask(profile(server.url, model=None))
    assert trial.verdict == "ok"
    assert [(each.method, each.path) for each in server.requests] == [("GET", "/v1/models")]


async def test_a_model_that_knows_the_limit_by_another_name() -> None:
    def handle(request: Request) -> Reply:
        if "max_completion_tokens" in request.json:
            return json_reply(ANSWERS["openai-chat"])
        message = "Unsupported parameter: use 'max_completion_tokens' instead."
        return json_reply({"error": {"message": message}}, 400)

    async with FakeServer(handle) as server:
        trial = await ask(profile(server.url, "openai-chat"))
    assert trial.verdict == "ok" and len(server.requests) == 2


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        (json_reply({"error": {"message": f"bad key {KEY}"}}, 401), "auth"),
        (json_reply({}, 402), "quota"),
        (json_reply({}, 429, retry_after="60"), "quota"),
        (json_reply({}, 429), "overload"),
        (json_reply({}, 529), "overload"),
        (json_reply({}, 404), "not_found"),
        (json_reply({}, 500), "unexpected"),
        (DROP, "unreachable"),
    ],
)
async def test_a_refusal_is_told_by_kind(reply: Reply, verdict: str) -> None:
    async with answering(reply) as server:
        trial = await ask(profile(server.url))
    assert trial.verdict == verdict
    assert (trial.resets_at is not None) == ("retry-after" in reply.headers)


async def test_the_key_does_not_follow_a_redirect() -> None:
    async with answering(json_reply(ANSWERS["anthropic"])) as other:
        location = {"location": f"{other.url}/v1/messages"}
        for status in (301, 302, 303, 307, 308):
            async with answering(Reply(status, headers=location)) as server:
                trial = await ask(profile(server.url))
            assert trial.verdict == "unexpected" and "redirects" in trial.detail
    assert other.requests == []


async def test_an_endpoint_where_nobody_listens() -> None:
    assert (await ask(profile(f"http://127.0.0.1:{free_port()}"))).verdict == "unreachable"


async def test_an_endpoint_that_does_not_answer_in_time() -> None:
    async with answering(Reply(delay_s=30)) as server:
        trial = await ask(profile(server.url), timeout_s=0.2)
    assert trial.verdict == "unreachable" and trial.duration_s < 30


@pytest.mark.parametrize(("scheme", "verdict"), [("http", "unexpected"), ("https", "tls")])
async def test_an_endpoint_that_speaks_something_else(scheme: str, verdict: str) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()
        await reader.read(65_536)  # who closes before reading resets the connection
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert (await ask(profile(f"{scheme}://127.0.0.1:{port}"))).verdict == verdict


async def test_without_its_key_nothing_is_asked() -> None:
    async with answering(json_reply({})) as server:
        trial = await ask(profile(server.url), P_KEY="")
    assert (trial.verdict, trial.code) == ("auth", "secret.missing")
    assert server.requests == []


async def test_the_clients_own_sign_in_is_not_tried() -> None:
    async with answering(json_reply({})) as server:
        trial = await ask(replace(profile(server.url), auth="native"))
    assert trial.verdict == "untried" and "sign-in" in trial.detail
    assert server.requests == []


async def test_each_endpoint_is_tried() -> None:
    async with answering(json_reply(ANSWERS["openai-chat"])) as server:
        both = replace(
            profile(server.url), endpoints={"anthropic": server.url, "openai-chat": server.url}
        )
        store = EnvironmentStore({"P_KEY": KEY})
        trials = await asyncio.to_thread(verify, both, resolve=store.read)
    assert [(each.protocol, each.verdict) for each in trials] == [
        ("anthropic", "unexpected"),
        ("openai-chat", "ok"),
    ]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for `localhost` alone, signed by itself, and its key in one file."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    private = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture
def trusting(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """This machine trusts the certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    yield certificate


def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_who_cannot_prove_to_be_the_host_is_sent_nothing(certificate: Path) -> None:
    server = FakeServer(lambda _: json_reply(ANSWERS["anthropic"]), tls=tls(certificate))
    async with server:
        trial = await ask(profile(f"https://localhost:{server.port}"))
    assert trial.verdict == "tls" and "self-signed" in trial.detail
    assert server.requests == []


async def test_a_certificate_of_another_host(trusting: Path) -> None:
    server = FakeServer(lambda _: json_reply(ANSWERS["anthropic"]), tls=tls(trusting))
    async with server:
        assert (await ask(profile(f"https://localhost:{server.port}"))).verdict == "ok"
        trial = await ask(profile(f"https://127.0.0.1:{server.port}"))
    assert trial.verdict == "tls" and len(server.requests) == 1


class Terminal(io.StringIO):
    """Where somebody types."""

    def isatty(self) -> bool:
        """Say yes."""
        return True


@pytest.mark.parametrize("answer", ["y\n", "n\n"])
def test_undo_is_offered_where_the_provider_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    path = install(tmp_path, claude_code='{"a": 1}')["claude-code"]
    site = site_in(tmp_path)
    done = switch_to(site, ONE, "claude-code")
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    environments = Environments(load_settings(environ=site.environ, folder=tmp_path))
    environments.site = site
    body = switched(done)

    def judged(verdict: AnswerVerdict) -> int:
        tried = structs.replace(body, trials=[trial_body(Trial(profile="one", verdict=verdict))])
        judge(tried, environments)
        return code_of(tried)

    assert judged("auth") == 6
    assert (path.read_text() == '{"a": 1}') == (answer == "y\n")
    assert judged("ok") == 0
