"""One attempt: a request to one profile, whose answer is held until it begins, then passed on as it comes."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace

import aiohttp
from aiohttp import web
from yarl import URL

from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.masking import Secret
from mahavishnu.gateway.arrived import Arrived, ClientGone, Going, Headers, Held
from mahavishnu.gateway.causes import MAX_BODY, Cause, ProviderFailure, classify
from mahavishnu.gateway.chain import Candidate
from mahavishnu.gateway.outcome import MAX_EVENT, MAX_HELD, StreamWatch, Watch, WholeWatch, data_of
from mahavishnu.gateway.provider import ProviderSession, UnusableProxy, pieces_of
from mahavishnu.gateway.sight import ProfileKeys
from mahavishnu.gateway.translation import NotTranslated, Translation, error_message, load
from mahavishnu.gateway.wire import (
    answer_headers,
    error_body,
    error_event,
    final_error,
    map_model,
    replace_model,
    request_headers,
)

ENDS_S = 0.1  # after the last event of a stream, until its connection is free
CLIENT_WAITS_S = 120.0  # for a client that takes nothing
# Of what nobody else is asked for, where the provider's own status was 200.
_STATUSES: Mapping[Cause, int] = {"client": 400, "auth": 401}
_NETWORK = (aiohttp.ClientError, OSError, TimeoutError)


class Attempt:
    """One request to one profile; `others`: another may be tried where this one fails."""

    def __init__(
        self,
        provider: ProviderSession,
        keys: ProfileKeys,
        arrived: Arrived,
        candidate: Candidate,
        going: Going,
        *,
        others: bool,
    ) -> None:
        self._keys = keys
        self._provider = provider
        self._arrived = arrived
        self._candidate = candidate
        self._going = going
        self._others = others
        self._side = arrived.meaning.side
        self._translation: Translation | None = None
        self._watch: Watch | None = None
        self._response: web.StreamResponse | None = None

    async def make(self) -> tuple[web.StreamResponse | Held, ProviderFailure | None]:
        """
        Return what the client got or might get, and why it is a failure; raises `ClientGone`.

        A key that was refused is read again, and tried once more where it became another.
        """
        tried = None
        while True:
            try:
                key = await self._keys.get(self._candidate.profile, self._candidate.url)
            except MahavishnuError as error:
                told_ = f"{error.message} {error.hint or ''}".strip()
                return self._own(401, told_, error.code), ProviderFailure(cause="auth")
            if tried is not None and key.reveal() == tried[0].reveal():
                return tried[1], tried[2]
            got, failure = await self._send(key)
            if (
                failure is None
                or failure.status != 401
                or tried
                or isinstance(got, web.StreamResponse)
            ):
                return got, failure
            self._keys.forget(self._candidate.profile.name)
            tried = key, got, failure

    async def _send(self, key: Secret) -> tuple[web.StreamResponse | Held, ProviderFailure | None]:
        profile, arrived = self._candidate.profile, self._arrived
        asked = arrived.asked.model
        sent = map_model(asked, model=profile.model, small_model=profile.small_model)
        self._going.sent_model = sent
        headers = request_headers(
            arrived.request.headers.items(),
            key=key.reveal(),
            key_header=profile.key_header,
            translated=self._candidate.translated,
        )
        url, query = str(URL(self._candidate.url)), arrived.request.rel_url.raw_query_string
        body = replace_model(arrived.body, asked, sent) if asked else arrived.body
        if self._candidate.translated:
            query = ""
            try:
                await load()  # of another version, it may lack what is used of it
                self._translation = Translation(
                    self._candidate.protocol, arrived.body, asked=asked, model=sent
                )
            except (NotTranslated, ImportError) as error:
                message = f"The request cannot be said in the protocol of {profile.name}: {error}."
                return self._own(400, message, "gateway.untranslated"), ProviderFailure(
                    cause="client", status=400
                )
            body = self._translation.request()
        try:
            answer = await self._provider.ask(
                arrived.request.method,
                f"{url}?{query}" if query else url,
                headers,
                body,
            )
        except _NETWORK as error:
            return self._unreached(error)
        try:
            return await self._take(answer)
        finally:
            if isinstance(self._watch, StreamWatch) and self._watch.closed:
                with contextlib.suppress(*_NETWORK):  # so that the connection can be used again
                    async with asyncio.timeout(ENDS_S):
                        await answer.content.readany()
            if answer.content.at_eof():
                answer.release()
            else:
                answer.close()

    async def _take(
        self, answer: aiohttp.ClientResponse
    ) -> tuple[web.StreamResponse | Held, ProviderFailure | None]:
        headers = answer_headers(answer.headers.items())
        if "Content-Encoding" in answer.headers:  # which is undone
            headers = [each for each in headers if each[0].lower() != "content-length"]
        small = {name.lower(): value for name, value in answer.headers.items()}
        protocol = self._candidate.protocol
        if answer.status >= 300:
            try:
                body = await _read_most(answer)
            except _NETWORK as error:
                return self._unreached(error)
            failure = classify(answer.status, small, body, protocol)
            if 300 <= answer.status < 400:
                return self._own(
                    502, "The provider redirects, which no key follows.", "gateway.redirect"
                ), failure
            if self._translation is not None:
                own = self._own(answer.status, error_message(body), "gateway.provider")
                return replace(own, headers=[*own.headers, *_without_body(headers)]), failure
            return Held(status=answer.status, headers=headers, body=body), failure
        if answer.content_type == "text/event-stream":
            # What ends a stream that broke off has a length of its own.
            headers = [each for each in headers if each[0].lower() != "content-length"]
            return await self._pass(answer, headers, StreamWatch(protocol))
        watch = WholeWatch(protocol, answers=self._arrived.meaning.answers)
        if self._translation is not None:
            return await self._turn_whole(answer, headers, watch, self._translation)
        return await self._pass(answer, headers, watch)

    async def _pass(
        self, answer: aiohttp.ClientResponse, headers: Headers, watch: Watch
    ) -> tuple[web.StreamResponse | Held, ProviderFailure | None]:
        """Hold the answer until it says something, or is late with it; then pass it on as it comes."""
        self._watch = watch
        response: web.StreamResponse | None = None
        before, cut, late, turned = b"", False, False, True
        held_s = self._provider.times.held_s if isinstance(watch, StreamWatch) else None
        try:
            async for piece in pieces_of(answer, held_s):
                whole = await self._turn(watch.feed(piece))
                if response is None:
                    before += whole
                    late = late or not piece or len(before) > MAX_HELD
                    if watch.failure is None and (watch.began or (late and before)):
                        response = await self._begin(answer.status, headers)
                        await self._write(response, before)
                else:
                    await self._write(response, whole)
                if watch.failure is not None:  # an error ends a stream
                    break
                if (
                    self._translation is not None
                    and isinstance(watch, StreamWatch)
                    and watch.closed
                ):
                    break  # whatever becomes of the connection
        except _NETWORK:
            cut = True
        except NotTranslated:
            turned = False
        finally:  # also of one whose client went
            self._going.tokens = watch.tokens
        failure = watch.end(cut=cut)
        last = b""
        if failure is None and self._translation is not None:
            try:
                last = await self._translation.finish() if turned else b""
            except NotTranslated:
                turned = False
        if not turned and failure is None:
            failure = ProviderFailure(cause="provider", status=200)
        self._going.tokens = watch.tokens
        self._going.status = answer.status
        if response is None and failure is not None:
            if self._translation is not None and not failure.moves_on:
                status = _STATUSES[failure.cause]
                return self._own(status, _said_by(watch.rest), "gateway.provider"), failure
            # What ended in order is the provider's own answer, though it says nothing.
            cut = cut or (watch.failure is None and not watch.ended)
            body = before + (self._broken(failure) or b"" if self._translation else watch.rest)
            return self._unbegun(answer.status, headers, body, cut=cut), failure
        if response is None:
            response = await self._begin(answer.status, headers)
            await self._write(response, before)
        await self._write(response, last)
        await self._finish(response, watch, failure)
        return response, failure and replace(failure, begun=True)

    async def break_off(self) -> web.StreamResponse | Held:
        """End what there is no time for any more, so that the client asks again; raises `ClientGone`."""
        message, watch = "The gateway is stopping; ask again.", self._watch
        if self._response is None or watch is None:
            return self._own(503, message, "gateway.stopping").repeated(again=True)
        rest: bytes | None = b""
        if not watch.ended:
            stream = isinstance(watch, StreamWatch)
            rest = error_event(self._candidate.spoken, message) if stream else None
        await self._end(self._response, rest)
        return self._response

    async def _finish(
        self, response: web.StreamResponse, watch: Watch, failure: ProviderFailure | None
    ) -> None:
        """End an answer that the client has a part of."""
        rest: bytes | None = watch.rest
        if isinstance(watch, WholeWatch):
            if failure is not None and failure.cause == "network":
                rest = None
        elif self._translation is not None:
            rest = self._broken(failure) if failure else b""
            if failure and not failure.moves_on:
                rest = final_error(_STATUSES[failure.cause], _said_by(watch.rest))
        elif failure and not watch.ended and (not watch.failure or self._replaces(failure)):
            rest = self._broken(failure)
        await self._end(response, rest)

    def _broken(self, failure: ProviderFailure) -> bytes | None:
        """Return what ends a stream that broke off, so that the client asks again."""
        name = self._candidate.profile.name
        return error_event(
            self._candidate.spoken, f"{name} broke off ({failure.cause}); ask again."
        )

    async def _turn(self, events: bytes) -> bytes:
        """Return events as the client speaks; raises `NotTranslated`."""
        return events if self._translation is None else await self._translation.feed(events)

    async def _turn_whole(
        self,
        answer: aiohttp.ClientResponse,
        headers: Headers,
        watch: WholeWatch,
        translation: Translation,
    ) -> tuple[Held, ProviderFailure | None]:
        """Return an answer in one JSON as the client speaks."""
        try:
            body = await _read_most(answer, MAX_EVENT)
        except _NETWORK as error:
            return self._unreached(error)
        if len(body) > MAX_EVENT:
            too_long = ProviderFailure(cause="provider", status=200)
            return self._own(502, "The answer is too long.", "gateway.untranslated"), too_long
        watch.feed(body)
        failure = watch.end()
        self._going.tokens = watch.tokens
        if failure is None:
            try:
                kept = [("content-type", "application/json"), *_without_body(headers)]
                return Held(status=answer.status, headers=kept, body=translation.whole(body)), None
            except NotTranslated:
                failure = ProviderFailure(cause="provider", status=200)
        status = _STATUSES.get(failure.cause, 502)
        return self._own(status, error_message(body), "gateway.untranslated"), failure

    async def _end(self, response: web.StreamResponse, rest: bytes | None) -> None:
        """End an answer with these bytes; with None, cut it."""
        if rest is None:
            self._cut()  # and nothing is waited for behind it, or this would count as a client that went
            return
        await self._write(response, rest)
        try:
            await response.write_eof()
        except OSError as error:
            raise ClientGone from error

    def _replaces(self, failure: ProviderFailure) -> bool:
        """Whether the client hears our error instead of the provider's: one after which it asks again."""
        return self._others and failure.moves_on

    def _unbegun(self, status: int, headers: Headers, body: bytes, *, cut: bool) -> Held:
        name = self._candidate.profile.name
        if cut or not body.strip():
            return self._own(
                502, f"{name} broke off before it said anything.", "gateway.broken_off"
            )
        return Held(status=status, headers=headers, body=body)

    async def _begin(self, status: int, headers: Headers) -> web.StreamResponse:
        self._going.first_ms = self._going.ms()
        response = web.StreamResponse(status=status, headers=dict(headers))
        response.headers.setdefault("Server", "mahavishnu")
        try:
            await response.prepare(self._arrived.request)
        except OSError as error:
            raise ClientGone from error
        self._response = response
        return response

    async def _write(self, response: web.StreamResponse, piece: bytes) -> None:
        """Hand on bytes; waits for the client, and so the provider does too."""
        if not piece:
            return
        try:
            async with asyncio.timeout(CLIENT_WAITS_S):
                await response.write(piece)
        except TimeoutError:
            self._cut()
            raise ClientGone from None
        except OSError as error:
            raise ClientGone from error

    def _cut(self) -> None:
        transport = self._arrived.request.transport
        if transport is not None:
            transport.abort()

    def _unreached(self, error: BaseException) -> tuple[Held, ProviderFailure]:
        name = self._candidate.profile.name
        late = isinstance(error, TimeoutError)
        message = (
            f"{name} did not answer in time."
            if late
            else f"{name} cannot be reached: {_kind(error)}."
        )
        code = "gateway.timeout" if late else "gateway.unreachable"
        return self._own(504 if late else 502, message, code), ProviderFailure(cause="network")

    def _own(self, status: int, message: str, code: str) -> Held:
        headers = (("content-type", "application/json"),)
        return Held(
            status=status, headers=headers, body=error_body(self._side, status, message, code)
        )


def _without_body(headers: Headers) -> list[tuple[str, str]]:
    """Return the headers that say nothing of the body, which became another one."""
    return [each for each in headers if not each[0].lower().startswith("content-")]


def _said_by(event: bytes) -> str:
    """Return what an event with an error says."""
    return error_message(data_of(event.partition(b"\n\n")[0]))


async def _read_most(answer: aiohttp.ClientResponse, most: int = MAX_BODY) -> bytes:
    """Return a body, or its beginning, a little longer than `most`; that of an error is short."""
    pieces, size = [], 0
    async for piece in answer.content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size > most:
            break
    return b"".join(pieces)


def _kind(error: BaseException) -> str:
    """Return what is wrong with a connection, without addresses."""
    if isinstance(error, UnusableProxy):
        return str(error)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "there is no such host"
    if isinstance(error, aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError):
        return "its certificate is not accepted"
    if isinstance(error, aiohttp.ClientConnectorError):
        return (error.os_error.strerror or "no connection").lower()
    return type(error).__name__
