"""Clouds on the loopback that keep keys: moto's AWS, a fake of Google's client."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mahavishnu.ai.secrets.oneiric.providers import (
    Adapter,
    Dates,
    OpenStore,
    gcp_adapter,
    make_adapter,
)
from mahavishnu.ai.secrets.oneiric.store import OneiricStore
from mahavishnu.ai.secrets.oneiric.stores import AwsStore, CloudStore, GcpStore, Stores
from tests.support.peers.loopback import serving

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIAFAKEFAKEFAKEFAKE",
    "AWS_SECRET_ACCESS_KEY": "fake-canary-of-aws",
}


def aws_store(url: str, name: str = "main", **more: Any) -> AwsStore:
    """Return a store in the AWS at `url`."""
    return AwsStore(name=name, region="eu-west-1", endpoint_url=url, **more)


def gcp_store(name: str = "main", **more: Any) -> GcpStore:
    """Return a store in a project."""
    return GcpStore(name=name, project_id="team", **more)


def opened(
    *stores: CloudStore, timeout_s: float = 10.0, make: Any = None, **more: Any
) -> OneiricStore:
    """Return our store over these; `make` makes their adapters."""
    return OneiricStore(
        Stores(stores, timeout_s=timeout_s, **more),
        open_store=lambda store, limit_s: OpenStore(store, make or make_adapter, limit_s),
    )


@dataclass
class FakeGoogle:
    """Google's client as the adapter uses it: `values` by id, or what `fault` raises."""

    values: dict[str, bytes] = field(default_factory=dict)
    fault: Callable[[], Awaitable[None]] | None = None
    closed: int = 0

    async def access_secret_version(self, request: Mapping[str, str]) -> Any:
        """Answer, or raise what Google's client would."""
        from google.api_core.exceptions import NotFound

        await asyncio.sleep(0)
        if self.fault is not None:
            await self.fault()
        identifier = request["name"].split("/")[3]
        if identifier not in self.values:
            raise NotFound(f"Secret [{request['name']}] not found")

        @dataclass
        class Payload:
            data: bytes

        @dataclass
        class Answer:
            payload: Payload

        return Answer(Payload(self.values[identifier]))

    async def close(self) -> None:
        """Note that it was closed."""
        self.closed += 1


def google(client: FakeGoogle) -> Callable[[CloudStore, Dates], Awaitable[Adapter]]:
    """Return what makes the real adapter over a fake client."""

    async def make(store: CloudStore, _dates: Dates) -> Adapter:
        assert isinstance(store, GcpStore)
        return gcp_adapter(store, client)

    return make


@dataclass
class FaultyAws:
    """An AWS that answers as a test wants: an error's code, after a while."""

    code: str = ""
    wait_s: float = 0.0
    values: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def __call__(self, request: Request) -> Response:
        """Answer one call."""
        identifier = json.loads(await request.body())["SecretId"]
        self.asked.append(identifier)
        await asyncio.sleep(self.wait_s)
        code = self.code or ("" if identifier in self.values else "ResourceNotFoundException")
        if code:
            text = "sk-fake-canary of arn:aws:iam::140404345678:user/me"
            return JSONResponse({"__type": code, "message": text}, 400)
        about = {"Name": identifier, "CreatedDate": 1_700_000_000}
        return JSONResponse(about | {"SecretString": self.values[identifier]})

    @contextlib.contextmanager
    def serve(self) -> Iterator[str]:
        """Serve it; yields the address."""

        async def answer(request: Request) -> Response:
            return await self(request)

        with serving(Starlette(routes=[Route("/", answer, methods=["POST"])])) as url:
            yield url


def nobody() -> str:
    """Return an address where nobody listens, with 404 in its port."""
    for port in (*range(40400, 40500), *range(14040, 14050), 4040, 4041, 4042):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            if "404" in str(port):
                return f"http://127.0.0.1:{port}"
    raise RuntimeError("no such port is free")
