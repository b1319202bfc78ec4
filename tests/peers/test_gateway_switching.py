"""
The real Claude Code is pointed at a gateway while it runs, and its route is changed: the next request follows.

A stand-in takes the gateway's place here, which passes each request on by the routes as they are at that moment.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mahavishnu.ai.routes.routes import read_routes, routes_in, tokens_in
from mahavishnu.ai.routes.tokens import read_tokens
from mahavishnu.ai.switching.switch import SwitchOptions, Via, switch
from mahavishnu.ai.switching.undo import undo
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.operations.ai.profiles import find_profile
from mahavishnu.operations.ai.site import open_site
from tests.peers.test_switching_claude import NOTICED_S, settle_in
from tests.support.peers.loopback import serving
from tests.support.peers.pseudo_terminal import submit, terminal, until
from tests.support.peers.switched import KEYS, Household, move_in, programs, providers

pytestmark = [pytest.mark.peer, pytest.mark.leak]


@contextmanager
def gateway(household: Household, state: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve the stand-in; yields its address, and the profiles that requests for models went to."""
    went: list[str] = []

    async def answer(request: Request) -> Response:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        client = read_tokens(tokens_in(state)).get(given)
        if request.method != "POST" or client is None:
            return Response(status_code=401 if request.method == "POST" else 404)
        name = read_routes(routes_in(state))[client].profile
        went.append(name)
        key = KEYS[f"{name.upper()}_KEY"]
        async with httpx.AsyncClient(trust_env=False) as to:
            answered = await to.post(
                f"{household.providers.urls[name]}/v1/messages",
                content=await request.body(),
                headers={"content-type": "application/json", "authorization": f"Bearer {key}"},
            )
        kind = answered.headers["content-type"]
        return Response(answered.content, answered.status_code, {"content-type": kind})

    paths = [Route("/{path:path}", answer, methods=["GET", "HEAD", "POST"])]
    with serving(Starlette(routes=paths)) as url:
        yield url, went


@pytest.mark.verifies("Claude Code, switching")
def test_a_running_session_is_led_to_the_gateway_and_along_its_routes(tmp_path: Path) -> None:
    """Some ten seconds: the client takes two to notice its settings, once; a change of route takes none."""
    with providers() as served:
        household = move_in(tmp_path, served)
        settle_in(household)
        household.switch("one", "claude-code")
        loaded = load_settings(environ=household.environ, folder=household.project)
        [claude] = programs()["claude"]
        with (
            gateway(household, loaded.locations.state) as (url, went),
            terminal([claude], environ=household.environ, folder=household.project) as session,
        ):
            site = replace(open_site(loaded, folder=household.project), gateway=url)

            def lead(name: str, via: Via | None = None) -> None:
                ask = SwitchOptions(clients=("claude-code",), via=via)
                switch(site, find_profile(loaded, name), ask)

            def asks() -> str:
                before = len(went)
                submit(session, "Say something.", lambda: len(went) > before, lambda: session.shown)
                return went[-1]

            sessions = household.home / ".claude/sessions"
            assert until(lambda: list(sessions.glob("*.json")), timeout_s=60), session.shown
            lead("one", via="gateway")
            settings = (household.home / ".claude/settings.json").read_bytes()
            time.sleep(NOTICED_S)
            assert asks() == "one"
            lead("two")
            assert asks() == "two"
            undo(site)
            assert asks() == "one"
            assert (household.home / ".claude/settings.json").read_bytes() == settings
        served.assert_nothing_leaked()
