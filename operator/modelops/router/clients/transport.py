"""The transports of the routed clients: each request goes to the route of its session, and once more to stable where
the canary fails before its first token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

import httpx2

from modelops.router.clients import tracing
from modelops.router.clients.attempt import Asked, Attempt
from modelops.router.routing_table import CANARY

if TYPE_CHECKING:
    from modelops.router.clients.routing import Routing


class _Session:
    """The session of a client: how its requests are picked, marked and counted."""

    def __init__(self, router: Routing, session_key: object, *, fallback: bool) -> None:
        self._router = router
        self._key = session_key
        self._fallback = fallback

    def first(self) -> Attempt:
        """An attempt by the route of the session. Raises as `Router.pick`."""
        request = self._router.request(self._key)
        tracing.mark_runs(self._router.agent, request.route)
        return Attempt(request, may_fall_back=self._fallback and request.route.track == CANARY)

    def helping(self) -> Attempt:
        """An attempt by stable, after the canary failed."""
        request = self._router._helping_request()
        tracing.mark_fallback(self._router.agent, request.route)
        return Attempt(request, may_fall_back=False)

    def uncounted(self, asked: Asked) -> httpx2.Request:
        """A request that the model does not answer."""
        return asked.to(self._router.pick(self._key))


class RoutedTransport(httpx2.BaseTransport):
    """The transport of one session's client. `send` sends a request and returns its answer, not read yet."""

    def __init__(
        self,
        router: Routing,
        session_key: object,
        *,
        fallback: bool,
        send: Callable[[httpx2.Request], httpx2.Response],
    ) -> None:
        self._session = _Session(router, session_key, fallback=fallback)
        self._send = send

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer. Raises what the last attempt raised."""
        request.read()
        asked = Asked(request)
        if not asked.is_counted:
            inner = self._send(self._session.uncounted(asked))
            return httpx2.Response(inner.status_code, headers=asked.passed_on(inner), content=inner.read())
        first = self._session.first()
        try:
            answer, lost = self._ask(asked, first)
        except Exception:
            if not first.may_fall_back:
                raise
        else:
            if not lost:
                return answer
        return self._ask(asked, self._session.helping())[0]

    def _ask(self, asked: Asked, attempt: Attempt) -> tuple[httpx2.Response, bool]:
        """The answer of an attempt, and whether stable has to answer instead."""
        inner: httpx2.Response | None = None
        try:
            inner = self._send(asked.to(attempt.route))
            if asked.is_streamed(inner):
                chunks = inner.iter_bytes()
                held: list[bytes] = []
                while attempt.is_undecided and (chunk := next(chunks, None)) is not None:
                    held.append(chunk)
                    attempt.read_stream(chunk)
                lost = not attempt.pass_on()
                if lost:
                    inner.close()
                stream = _Stream(attempt, inner, held, chunks)
                return httpx2.Response(inner.status_code, headers=asked.passed_on(inner), stream=stream), lost
            content = inner.read()
        except BaseException as error:
            if inner is not None:
                inner.close()
            attempt.fail(error)
            raise
        lost = attempt.read_body(inner.status_code, content)
        return httpx2.Response(inner.status_code, headers=asked.passed_on(inner), content=content), lost


class _Stream(httpx2.SyncByteStream):
    """A stream that is read while it is passed on."""

    def __init__(
        self, attempt: Attempt, inner: httpx2.Response, held: list[bytes], chunks: Iterator[bytes]
    ) -> None:
        self._attempt, self._inner, self._held, self._chunks = attempt, inner, held, chunks

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._held
            for chunk in self._chunks:
                self._attempt.read_stream(chunk)
                yield chunk
        except Exception as error:
            self._attempt.fail(error)
            raise
        except BaseException:
            self._attempt.leave()
            raise
        self._attempt.end_stream()

    def close(self) -> None:
        """The reader has had enough, or has read everything."""
        self._attempt.leave()
        self._inner.close()


class AsyncRoutedTransport(httpx2.AsyncBaseTransport):
    """`RoutedTransport` for asyncio."""

    def __init__(
        self,
        router: Routing,
        session_key: object,
        *,
        fallback: bool,
        send: Callable[[httpx2.Request], Awaitable[httpx2.Response]],
    ) -> None:
        self._session = _Session(router, session_key, fallback=fallback)
        self._send = send

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer. Raises what the last attempt raised."""
        await request.aread()
        asked = Asked(request)
        if not asked.is_counted:
            inner = await self._send(self._session.uncounted(asked))
            content = await inner.aread()
            return httpx2.Response(inner.status_code, headers=asked.passed_on(inner), content=content)
        first = self._session.first()
        try:
            answer, lost = await self._ask(asked, first)
        except Exception:
            if not first.may_fall_back:
                raise
        else:
            if not lost:
                return answer
        return (await self._ask(asked, self._session.helping()))[0]

    async def _ask(self, asked: Asked, attempt: Attempt) -> tuple[httpx2.Response, bool]:
        """The answer of an attempt, and whether stable has to answer instead."""
        inner: httpx2.Response | None = None
        try:
            inner = await self._send(asked.to(attempt.route))
            if asked.is_streamed(inner):
                chunks = inner.aiter_bytes()
                held: list[bytes] = []
                while attempt.is_undecided and (chunk := await anext(chunks, None)) is not None:
                    held.append(chunk)
                    attempt.read_stream(chunk)
                lost = not attempt.pass_on()
                if lost:
                    await inner.aclose()
                stream = _AsyncStream(attempt, inner, held, chunks)
                return httpx2.Response(inner.status_code, headers=asked.passed_on(inner), stream=stream), lost
            content = await inner.aread()
        except BaseException as error:
            attempt.fail(error)
            if inner is not None:
                await inner.aclose()
            raise
        lost = attempt.read_body(inner.status_code, content)
        return httpx2.Response(inner.status_code, headers=asked.passed_on(inner), content=content), lost


class _AsyncStream(httpx2.AsyncByteStream):
    """`_Stream` for asyncio."""

    def __init__(
        self, attempt: Attempt, inner: httpx2.Response, held: list[bytes], chunks: AsyncIterator[bytes]
    ) -> None:
        self._attempt, self._inner, self._held, self._chunks = attempt, inner, held, chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            for chunk in self._held:
                yield chunk
            async for chunk in self._chunks:
                self._attempt.read_stream(chunk)
                yield chunk
        except Exception as error:
            self._attempt.fail(error)
            raise
        except BaseException:
            self._attempt.leave()
            raise
        self._attempt.end_stream()

    async def aclose(self) -> None:
        """The reader has had enough, or has read everything."""
        self._attempt.leave()
        await self._inner.aclose()
