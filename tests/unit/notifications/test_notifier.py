"""Receivers are told of each transition once, whatever they answer, and whoever leads: real HTTP on loopback."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from tests.unit.rollout import objects

from modelops.adapters.notifications import HttpSender
from modelops.api.v1alpha1.names import API_VERSION, MANAGED_LABEL
from modelops.domain.notifications.delivered import Delivered
from modelops.domain.notifications.hosts import NotificationHosts
from modelops.engine.cache import ObjectCache
from modelops.engine.clock import SystemClock
from modelops.engine.cluster_reader import ClusterReader
from modelops.engine.credentials import CredentialReader
from modelops.engine.notifier import Notifier, config_map_name
from modelops.engine.resources import AGENT_MODELS, ROLLOUTS
from modelops.ports import Conflict, Json, Resource, Unavailable

PATH = "/hooks/T0SECRETPATH"
Answer = Callable[[web.Request], Any]


@dataclass
class Kube:
    """ConfigMaps and Secrets, with versions; Events are kept."""

    found: dict[tuple[str, str], Json] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    writes_fail: bool = False
    version: int = 100

    async def get(self, resource: Resource, _namespace: str, name: str) -> Json | None:
        return deepcopy(self.found.get((resource.plural, name)))

    async def create(self, resource: Resource, body: Json) -> Json:
        if (resource.plural, body["metadata"]["name"]) in self.found:
            raise Conflict("it exists")
        return self._store(resource, body)

    async def patch(self, resource: Resource, _namespace: str, name: str, merge: Json) -> Json:
        before = self.found[resource.plural, name]
        if merge["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]:
            raise Conflict("it changed")
        return self._store(resource, {**before, "data": merge["data"]})

    async def event(self, _regarding: Json, *, reason: str, message: str, warning: bool = False) -> None:
        self.events.append(f"{reason}: {message} {warning}")

    def _store(self, resource: Resource, body: Json) -> Json:
        if self.writes_fail:
            raise Unavailable("the API server does not answer")
        self.version += 1
        body = deepcopy(body)
        body["metadata"]["resourceVersion"] = str(self.version)
        self.found[resource.plural, body["metadata"]["name"]] = body
        return deepcopy(body)

    def secret(self, name: str, **data: str) -> None:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        metadata = {"name": name, "namespace": objects.NAMESPACE, "labels": {MANAGED_LABEL: "true"}}
        self.found["secrets", name] = {"metadata": metadata, "data": encoded}

    def delivered(self) -> Delivered:
        item = self.found["configmaps", config_map_name(objects.AGENT_MODEL)]
        return Delivered.from_data(item["data"])


class Receiver:
    """A server on loopback. `answers` are given in turn, then 200."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, bytes, dict[str, str]]] = []
        self.answers: list[Answer | int] = []
        self.url = ""

    @property
    def ids(self) -> list[str]:
        return [json.loads(body)["data"]["id"] for _, body, _ in self.requests]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.path, await request.read(), dict(request.headers)))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, int):
            return web.Response(status=answer)
        found = answer(request)
        given: web.StreamResponse = await found if asyncio.iscoroutine(found) else found
        return given


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"http://127.0.0.1:{port}{PATH}"
    try:
        yield receiver
    finally:
        await runner.cleanup()


class Scene:
    """An agent with receivers, a rollout with transitions, and one leader at a time."""

    def __init__(self, **urls: str) -> None:
        self.kube = Kube()
        self.cache = ObjectCache(monotonic=SystemClock().monotonic)
        self.version = 1
        self.counted: list[str] = []
        self.history: list[Json] = []
        notifications = []
        for name, url in urls.items():
            self.kube.secret(name, url=url, key="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
            reference = {"name": name, "key": "url"}
            signed = {"signingKeyFrom": {"name": name, "key": "key"}}
            notifications.append({"name": name, "type": "webhook", "urlFrom": reference, **signed})
        self.cache.put(AGENT_MODELS, objects.agent_model(notifications=notifications))

    def happens(
        self, reason: str, *, phase: str = "Aborted", at: datetime | None = None, **more: Any
    ) -> None:
        """One more transition of the rollout, as the operator's write brings it into the cache."""
        number = len(self.history) + 1
        moment = f"{at or datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        self.history.append({"number": number, "at": moment, "phase": phase, "reason": reason, **more})
        self.version += 1
        item = objects.rollout()
        item["metadata"]["resourceVersion"] = str(self.version)
        item["apiVersion"] = API_VERSION
        item["status"] = {"phase": phase, "reason": reason, "history": deepcopy(self.history)}
        self.cache.put(ROLLOUTS, item)

    @contextlib.asynccontextmanager
    async def leading(self, *, total_seconds: float = 5.0) -> AsyncIterator[Notifier]:
        """A process that leads: it begins with what the API server has."""
        reader = ClusterReader(self.kube, self.cache, SystemClock())  # type: ignore[arg-type]
        notifier = Notifier(
            reader,
            self.kube,  # type: ignore[arg-type]
            CredentialReader(self.kube, SystemClock()),  # type: ignore[arg-type]
            HttpSender(NotificationHosts(loopback=True), total_seconds=total_seconds),
            count=lambda form, outcome: self.counted.append(f"{form} {outcome}"),
            pause_seconds=0.02,
        )
        self.cache.listen(notifier.heard)
        task = asyncio.create_task(notifier.run())
        await until(lambda: ("configmaps", config_map_name(objects.AGENT_MODEL)) in self.kube.found)
        try:
            yield notifier
        finally:
            self.cache._listeners.remove(notifier.heard)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(holds: Callable[[], bool], *, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.005)


async def settled(receiver: Receiver, number: int) -> None:
    """So many requests have come, and no further one follows."""
    await until(lambda: len(receiver.requests) >= number)
    await asyncio.sleep(0.1)
    assert len(receiver.requests) == number


async def test_each_transition_is_told_once_and_none_that_was_there_before() -> None:
    async with receiving() as receiver:
        scene = Scene(team=receiver.url)
        scene.happens("Promoted", phase="Succeeded", at=datetime.now(UTC) - timedelta(hours=1))
        async with scene.leading():
            scene.happens("Watching", phase="Progressing")
            scene.happens("ErrorRateBreached", message="worse: 30 of 40 canary sessions")
            await settled(receiver, 1)
            scene.happens("Paused", phase="Progressing")
            await settled(receiver, 2)
    data = [json.loads(body)["data"] for _, body, _ in receiver.requests]
    assert [(one["reason"], one["severity"]) for one in data] == [
        ("ErrorRateBreached", "critical"),
        ("Paused", "info"),
    ]
    assert data[0]["message"] == "worse: 30 of 40 canary sessions"
    assert scene.counted == ["webhook sent"] * 2


async def test_an_outage_is_waited_for_and_then_told_once() -> None:
    async with receiving() as receiver:
        receiver.answers = [500, 503, 404]
        scene = Scene(team=receiver.url)
        async with scene.leading():
            scene.happens("ErrorRateBreached")
            await settled(receiver, 4)
    assert len(set(receiver.ids)) == 1
    assert scene.counted == ["webhook failed"] * 3 + ["webhook sent"]


async def test_a_receiver_that_hangs_delays_no_other_one() -> None:
    async def hang(_request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    async with receiving() as slow, receiving() as quick:
        slow.answers = [hang]
        scene = Scene(slow=slow.url, quick=quick.url)
        async with scene.leading(total_seconds=0.3):
            scene.happens("ErrorRateBreached")
            await until(lambda: len(quick.requests) == 1)
            assert len(slow.requests) <= 1
            await settled(slow, 2)


async def test_a_redirect_is_not_followed_and_what_it_asks_is_said_without_the_url(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def elsewhere(_request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": other.url})

    caplog.set_level(logging.DEBUG)
    async with receiving() as receiver, receiving() as other:
        receiver.answers = [elsewhere]
        scene = Scene(team=receiver.url)
        async with scene.leading():
            scene.happens("ErrorRateBreached")
            await settled(receiver, 2)
        assert other.requests == []
    logged = "\n".join(one.getMessage() for one in caplog.records if one.name.startswith("modelops"))
    assert "it answered HTTP 307 and named another address" in logged
    assert "127.0.0.1" not in logged
    assert "T0SECRETPATH" not in logged


async def test_a_receiver_that_asks_to_wait_is_not_asked_before() -> None:
    async with receiving() as receiver:
        receiver.answers = [lambda _request: web.Response(status=429, headers={"Retry-After": "0.5"})]
        scene = Scene(team=receiver.url)
        async with scene.leading():
            scene.happens("ErrorRateBreached")
            await until(lambda: len(receiver.requests) == 1)
            await asyncio.sleep(0.3)
            assert len(receiver.requests) == 1
            await settled(receiver, 2)


async def test_a_new_leader_tells_what_the_old_one_did_not() -> None:
    async with receiving() as receiver:
        scene = Scene(team=receiver.url)
        async with scene.leading():
            scene.happens("ErrorRateBreached")
            await settled(receiver, 1)
        scene.happens("LatencyBreached")
        async with scene.leading():
            await settled(receiver, 2)
    assert [one.rpartition(".")[2] for one in receiver.ids] == ["1", "2"]


async def test_after_a_crash_between_request_and_note_it_is_told_again_with_the_same_id() -> None:
    async with receiving() as receiver:
        scene = Scene(team=receiver.url)
        async with scene.leading():
            scene.kube.writes_fail = True
            scene.happens("ErrorRateBreached")
            await settled(receiver, 1)
        scene.kube.writes_fail = False
        async with scene.leading():
            await settled(receiver, 2)
    assert len(set(receiver.ids)) == 1
    assert scene.kube.delivered().receivers["team"].done == {objects.rollout()["metadata"]["uid"]: 1}


async def test_what_is_refused_for_good_is_given_up_with_an_event_and_the_next_one_is_told() -> None:
    async with receiving() as receiver:
        receiver.answers = [410]
        scene = Scene(team=receiver.url)
        async with scene.leading():
            scene.happens("ErrorRateBreached")
            scene.happens("LatencyBreached")
            await settled(receiver, 2)
    (event,) = scene.kube.events
    assert event == (
        "NotificationFailed: Rollout r1 was aborted: not sent to spec.notifications[team] after 1 try: it answered "
        "HTTP 410 True"
    )
    assert scene.counted == ["webhook failed", "webhook given_up", "webhook sent"]


async def test_a_secret_that_comes_later_is_used_as_it_is_then() -> None:
    async with receiving() as receiver:
        scene = Scene(team=receiver.url)
        scene.kube.secret("team", other="x")
        async with scene.leading():
            scene.happens("ErrorRateBreached")
            await until(lambda: "webhook failed" in scene.counted)
            scene.kube.secret("team", url=receiver.url, key="any-word")
            await settled(receiver, 1)


async def test_the_request_is_signed_over_what_is_sent() -> None:
    async with receiving() as receiver:
        scene = Scene(team=receiver.url)
        async with scene.leading():
            scene.happens("ErrorRateBreached")
            await settled(receiver, 1)
    path, body, headers = receiver.requests[0]
    assert path == PATH
    from modelops.domain.notifications.formats import signature_headers

    key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    moment = int(headers["webhook-timestamp"])
    assert headers["webhook-id"] == json.loads(body)["data"]["id"]
    assert abs(moment - datetime.now(UTC).timestamp()) < 10
    wanted = signature_headers(key, id=headers["webhook-id"], timestamp=moment, body=body)
    assert headers["webhook-signature"] == wanted["webhook-signature"]


async def test_the_last_transition_of_a_deleted_rollout_is_told_as_well() -> None:
    async with receiving() as receiver:
        receiver.answers = [500]
        scene = Scene(team=receiver.url)
        async with scene.leading():
            scene.happens("Deleted")
            scene.cache.remove(ROLLOUTS, objects.NAMESPACE, "r1")
            await settled(receiver, 2)


async def test_a_receiver_that_wishes_for_more_is_not_told_old_things() -> None:
    async with receiving() as receiver:
        scene = Scene(team=receiver.url)
        agent = objects.agent_model(
            notifications=[
                {
                    "name": "team",
                    "type": "webhook",
                    "urlFrom": {"name": "team", "key": "url"},
                    "minSeverity": "critical",
                }
            ]
        )
        agent["metadata"]["resourceVersion"] = "2"
        scene.cache.put(AGENT_MODELS, agent)
        async with scene.leading():
            scene.happens("Paused", phase="Progressing", at=datetime.now(UTC) - timedelta(seconds=5))
            await asyncio.sleep(0.05)
            agent = deepcopy(agent)
            agent["metadata"]["resourceVersion"] = "3"
            agent["spec"]["notifications"][0]["minSeverity"] = "info"
            scene.cache.put(AGENT_MODELS, agent)
            await until(lambda: scene.kube.delivered().receivers["team"].wishes == "info")
            scene.happens("ErrorRateBreached")
            await settled(receiver, 1)
