"""The Kubernetes transport and its watches against a server that misbehaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from tests.patience import patient

from modelops.adapters.kube import Connection, KubeClient, Transport, Watch
from modelops.ports import Json, Resource, Unavailable, Uncertain

PODS = Resource(group="", version="v1", plural="pods", kind="Pod")
DEADLINE = 10.0


class Handler:
    """A handler that fails at its first event."""

    def __init__(self) -> None:
        self.changed_names: list[str] = []
        self.seen = asyncio.Event()
        self.failures = 1

    async def listed(self, items: Sequence[Json], resource_version: str) -> None:
        return

    def changed(self, item: Json) -> None:
        if self.failures:
            self.failures -= 1
            raise KeyError("spec")
        self.changed_names.append(item["metadata"]["name"])
        self.seen.set()

    def deleted(self, item: Json) -> None:
        return

    def alive(self) -> None:
        return


@asynccontextmanager
async def client_of(app: web.Application) -> AsyncIterator[KubeClient]:
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with KubeClient(Transport(Connection(server=server, source="test"))) as kube:
            yield kube
    finally:
        await runner.cleanup()


async def _pods(request: web.Request) -> web.StreamResponse:
    if "watch" not in request.query:
        return web.json_response({"items": [], "metadata": {"resourceVersion": "1"}})
    response = web.StreamResponse()
    await response.prepare(request)
    item = {"metadata": {"name": "p", "namespace": "n", "resourceVersion": "2"}}
    await response.write(json.dumps({"type": "ADDED", "object": item}).encode() + b"\n")
    await asyncio.Event().wait()
    return response


async def _pod(_: web.Request) -> web.Response:
    return web.json_response({"metadata": {"name": "p", "resourceVersion": "1"}})


async def _garbled(_: web.Request) -> web.Response:
    return web.Response(text="<html>a proxy's login page</html>")


def app() -> web.Application:
    made = web.Application()
    made.router.add_get("/api/v1/pods", _pods)
    made.router.add_get("/api/v1/namespaces/n/pods", _pods)
    made.router.add_get("/api/v1/namespaces/n/pods/p", _pod)
    made.router.add_get("/api/v1/namespaces/n/pods/garbled", _garbled)
    made.router.add_patch("/api/v1/namespaces/n/pods/garbled", _garbled)
    return made


async def test_a_watch_whose_handler_failed_starts_again() -> None:
    handler = Handler()
    async with client_of(app()) as kube:
        task = asyncio.create_task(Watch(kube, PODS, handler).run())
        await asyncio.wait_for(handler.seen.wait(), patient(DEADLINE))
        task.cancel()
        assert handler.changed_names == ["p"]


async def test_a_hundred_watches_leave_connections_for_requests() -> None:
    server = app()
    async with client_of(server) as kube:
        handlers = [Handler() for _ in range(100)]
        for handler in handlers:
            handler.failures = 0
        tasks = [asyncio.create_task(Watch(kube, PODS, h).run()) for h in handlers]
        await asyncio.wait_for(asyncio.gather(*(h.seen.wait() for h in handlers)), patient(DEADLINE))
        assert await asyncio.wait_for(kube.get(PODS, "n", "p"), patient(DEADLINE)) is not None
        for task in tasks:
            task.cancel()


async def test_a_write_with_an_answer_that_is_no_json_is_uncertain() -> None:
    async with client_of(app()) as kube:
        with pytest.raises(Unavailable):
            await kube.get(PODS, "n", "garbled")
        with pytest.raises(Uncertain):
            await kube.patch(PODS, "n", "garbled", {"metadata": {"resourceVersion": "1"}})
