"""The watch against a real API server: no change is missed after broken connections or compaction."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from tests.cluster.losing_proxy import losing_proxy
from tests.patience import patient

from modelops.adapters.kube import Connection, KubeClient, Transport, Watch
from modelops.localcluster import LocalCluster
from modelops.ports import Json, Resource

CONFIG_MAPS = Resource(group="", version="v1", plural="configmaps", kind="ConfigMap")
LABEL = {"test": "watch"}


@dataclass
class RecordingHandler:
    """A handler that keeps the objects that it was called with, as a cache does."""

    items: dict[str, Json] = field(default_factory=dict)
    lists: int = 0
    signs_of_life: int = 0

    async def listed(self, items: Sequence[Json], resource_version: str) -> None:
        self.items = {item["metadata"]["name"]: item for item in items}
        self.lists += 1

    def changed(self, item: Json) -> None:
        self.items[item["metadata"]["name"]] = item

    def deleted(self, item: Json) -> None:
        self.items.pop(item["metadata"]["name"], None)

    def alive(self) -> None:
        self.signs_of_life += 1

    async def until(self, condition: Callable[[RecordingHandler], object], *, seconds: float = 15) -> None:
        async with asyncio.timeout(patient(seconds)):
            while not condition(self):
                await asyncio.sleep(0.01)


@pytest.fixture
def connection(cluster: LocalCluster) -> Connection:
    return Connection.from_kubeconfig(cluster.kubeconfig)


@pytest.fixture
async def kube(connection: Connection) -> AsyncIterator[KubeClient]:
    async with KubeClient(Transport(connection)) as client:
        yield client


@asynccontextmanager
async def watching(
    kube: KubeClient, namespace: str, *, silence_seconds: float = 70
) -> AsyncIterator[RecordingHandler]:
    handler = RecordingHandler()
    watch = Watch(
        kube,
        CONFIG_MAPS,
        handler,
        namespace=namespace,
        label_selector="test=watch",
        silence_seconds=silence_seconds,
    )
    task = asyncio.create_task(watch.run())
    try:
        yield handler
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def make(kube: KubeClient, namespace: str, name: str, *, data: str = "1") -> Json:
    metadata = {"namespace": namespace, "name": name, "labels": LABEL}
    return await kube.create(CONFIG_MAPS, {"metadata": metadata, "data": {"a": data}})


async def test_every_change_of_a_selected_object_is_reported(kube: KubeClient, namespace: str) -> None:
    await make(kube, namespace, "before")
    await kube.create(CONFIG_MAPS, {"metadata": {"namespace": namespace, "name": "unlabelled"}})
    async with watching(kube, namespace) as handler:
        await handler.until(lambda t: t.items.keys() == {"before"})
        made = await make(kube, namespace, "after")
        await handler.until(lambda t: t.items.keys() == {"before", "after"})
        version = made["metadata"]["resourceVersion"]
        unlabel = {"metadata": {"resourceVersion": version, "labels": {"test": None}}}
        await kube.patch(CONFIG_MAPS, namespace, "after", unlabel)
        await handler.until(lambda t: t.items.keys() == {"before"})
        await kube.delete(CONFIG_MAPS, namespace, "before")
        await handler.until(lambda t: not t.items)
        assert handler.lists == 1
        assert handler.signs_of_life >= 4


async def test_an_object_larger_than_any_buffer_arrives_complete(kube: KubeClient, namespace: str) -> None:
    async with watching(kube, namespace) as handler:
        await handler.until(lambda t: t.lists)
        await make(kube, namespace, "large", data="\n" * 900_000)
        await handler.until(lambda t: "large" in t.items)
        assert len(handler.items["large"]["data"]["a"]) == 900_000


async def test_after_a_broken_connection_the_watch_resumes_at_its_last_version(
    connection: Connection, kube: KubeClient, namespace: str
) -> None:
    async with (
        losing_proxy(connection) as proxy,
        KubeClient(Transport(dataclasses.replace(connection, server=proxy.url))) as through,
        watching(through, namespace) as handler,
    ):
        await handler.until(lambda t: t.lists)
        proxy.lose_answers = True
        await make(kube, namespace, "meanwhile")
        await handler.until(lambda _: proxy.answers_lost >= 2)
        assert not handler.items
        proxy.lose_answers = False
        await handler.until(lambda t: t.items.keys() == {"meanwhile"})
        assert handler.lists == 1


async def test_a_silent_watch_is_restarted(connection: Connection, kube: KubeClient, namespace: str) -> None:
    async with (
        losing_proxy(connection) as proxy,
        KubeClient(Transport(dataclasses.replace(connection, server=proxy.url))) as through,
        watching(through, namespace, silence_seconds=0.3) as handler,
    ):
        await handler.until(lambda t: t.lists)
        await handler.until(lambda _: sum("watch=true" in line for line in proxy.request_lines) >= 3)
        await make(kube, namespace, "c")
        await handler.until(lambda t: "c" in t.items)


async def test_a_version_that_is_too_old_leads_to_a_fresh_list() -> None:
    """Uses a server with two fixed answers, because a real API server compacts only after minutes."""
    lists = 0

    def config_map(name: str) -> Json:
        return {"metadata": {"name": name, "namespace": "team", "resourceVersion": "3"}}

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal lists
        if "watch" not in request.query:
            lists += 1
            names = ["kept", "deleted-unseen"] if lists == 1 else ["kept"]
            metadata = {"resourceVersion": str(lists * 100)}
            return web.json_response({"metadata": metadata, "items": [config_map(name) for name in names]})
        response = web.StreamResponse()
        await response.prepare(request)
        if request.query["resourceVersion"] == "100":
            status = {
                "kind": "Status",
                "code": 410,
                "reason": "Expired",
                "message": "too old resource version",
            }
            await response.write(json.dumps({"type": "ERROR", "object": status}).encode() + b"\n")
        else:
            await asyncio.sleep(60)
        return response

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with (
            KubeClient(Transport(Connection(server=url, source="test"))) as kube,
            watching(kube, "team") as handler,
        ):
            await handler.until(lambda t: t.lists == 2)
            assert handler.items.keys() == {"kept"}
    finally:
        await runner.cleanup()
