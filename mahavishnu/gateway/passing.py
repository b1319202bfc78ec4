"""
One request on its way: tried along the chain until somebody begins to answer, then passed on as it comes.

Before the first byte the next profile is tried; after it the stream ends with the protocol's own error, so that the
client asks again, and the next profile gets that request. Nothing is kept but what a failed profile said, in case that
nobody does better.
"""

import asyncio
from collections.abc import Sequence

from aiohttp import web

from mahavishnu.gateway.arrived import Arrived, ClientGone, Going, Held
from mahavishnu.gateway.attempt import Attempt
from mahavishnu.gateway.breaker import Breakers
from mahavishnu.gateway.causes import ProviderFailure
from mahavishnu.gateway.chain import Candidate, Chosen
from mahavishnu.gateway.notes import GatewayNotes, told
from mahavishnu.gateway.outcome import TokenCount
from mahavishnu.gateway.provider import ProviderSession
from mahavishnu.gateway.records import UseRecord
from mahavishnu.gateway.sight import ProfileKeys

type Made = tuple[web.StreamResponse | Held, ProviderFailure | None]


class Passing:
    """Passes requests on; holds what all of them share."""

    def __init__(
        self, provider: ProviderSession, keys: ProfileKeys, breakers: Breakers, notes: GatewayNotes
    ) -> None:
        self._provider = provider
        self._keys = keys
        self._breakers = breakers
        self._notes = notes
        self._stopped = False
        self._running: set[asyncio.Timeout] = set()

    def stop(self) -> None:
        """Break off what runs or still comes, in the words of its protocol."""
        self._stopped = True
        for each in self._running:
            each.reschedule(0)

    async def run(self, arrived: Arrived, chosen: Chosen) -> web.StreamResponse:
        """Return the answer, passed on to its end; raises `ClientGone`."""
        going = Going()
        try:
            return await self._along(arrived, chosen.candidates, going)
        except (asyncio.CancelledError, ClientGone):
            going.cause = "gone"
            if going.candidate is not None:
                self._breakers.leave(going.candidate.profile.name)
            raise
        finally:
            self._record(arrived, going)

    async def _along(
        self, arrived: Arrived, candidates: Sequence[Candidate], going: Going
    ) -> web.StreamResponse:
        held = Held(status=502, headers=(), body=b"")
        for left, candidate in zip(range(len(candidates) - 1, -1, -1), candidates, strict=True):
            going.candidate, going.tokens = candidate, TokenCount()
            name = candidate.profile.name
            began = self._breakers.begin(name)
            attempt = Attempt(
                self._provider, self._keys, arrived, candidate, going, others=left > 0
            )
            made = await self._make(attempt)
            if made is None:
                return await self._break_off(attempt, arrived, going)
            got, failure = made
            if failure is None:
                if not arrived.meaning.answers:  # the model may be away all the same
                    self._breakers.leave(name)
                elif self._breakers.worked(name, began):
                    why = (
                        ", ".join(going.moved)
                        or "its breaker or quota does not let requests through"
                    )
                    self._notes.served(arrived.client, name, first=arrived.route.profile, why=why)
            else:
                if arrived.meaning.answers or failure.cause == "network":
                    self._breakers.failed(name, failure)
                else:  # what counts tokens has limits of its own
                    self._breakers.leave(name)
                going.cause = failure.cause
                if failure.cause == "auth":
                    self._keys.forget(name)
                    self._notes.refused(name, f"{name} refused its key, or it cannot be read.")
                    if isinstance(got, Held):
                        got = got.refused(candidate.spoken)
            if isinstance(got, web.StreamResponse):
                return got
            held = got
            if failure is None or not failure.moves_on or not left:
                break
            going.moved.append(told(name, failure))
            going.cause = ""
        going.status = held.status
        return await _answer_whole(arrived.request, held)

    async def _make(self, attempt: Attempt) -> Made | None:
        """Make an attempt; None where the gateway stopped meanwhile."""
        bound = asyncio.timeout_at(0 if self._stopped else None)
        self._running.add(bound)
        try:
            async with bound:
                return await attempt.make()
        except TimeoutError:
            return None
        finally:
            self._running.discard(bound)

    async def _break_off(
        self, attempt: Attempt, arrived: Arrived, going: Going
    ) -> web.StreamResponse:
        going.cause = "gone"
        if going.candidate is not None:
            self._breakers.leave(going.candidate.profile.name)
        got = await attempt.break_off()
        going.status = got.status
        return (
            got
            if isinstance(got, web.StreamResponse)
            else await _answer_whole(arrived.request, got)
        )

    def _record(self, arrived: Arrived, going: Going) -> None:
        candidate = going.candidate
        self._notes.write(
            UseRecord(
                at=going.at,
                client=arrived.client,
                profile=candidate.profile.name if candidate else "",
                protocol=candidate.protocol if candidate else arrived.meaning.protocols[0],
                model=arrived.asked.model[:200],
                sent_model=going.sent_model[:200],
                status=going.status,
                cause=going.cause,
                moved_from=",".join(going.moved),
                first_ms=going.first_ms,
                total_ms=going.ms(),
                input=going.tokens.input,
                output=going.tokens.output,
                cached=going.tokens.cached,
            ),
            candidate.url if candidate else "",
        )


async def _answer_whole(request: web.BaseRequest, held: Held) -> web.StreamResponse:
    headers = {name: value for name, value in held.headers if name.lower() != "content-length"}
    headers["Server"] = "mahavishnu"
    response = web.Response(status=held.status, headers=headers, body=held.body)
    try:
        await response.prepare(request)
        await response.write_eof()
    except OSError as error:
        raise ClientGone from error
    return response
