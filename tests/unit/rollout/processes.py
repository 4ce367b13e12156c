"""Operator processes in steps: the real reconcilers and executor, halted at every request to the API server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.unit.engine_parts import engine_parts
from tests.unit.rollout.api_server import ApiServer, Name
from tests.unit.rollout.objects import EVALUATION_PASSED, NAMESPACE, START, Json

from modelops.domain.rollout.state import RolloutSettings
from modelops.engine.agentmodel import AgentModelReconciler
from modelops.engine.cache import ObjectCache
from modelops.engine.executor import CONFIG_MAPS, Executor
from modelops.engine.resources import AGENT_MODELS, ROLLOUTS, SECRETS
from modelops.engine.rollout import RolloutReconciler
from modelops.ports import (
    AgentReports,
    Conflict,
    Endpoint,
    EndpointRequest,
    Missing,
    ModelInfo,
    ProgramState,
    Resource,
    TrackCounters,
    Unavailable,
    Uncertain,
)

_LOOP = asyncio.new_event_loop()
"""Never runs: locks between workers need a loop, and the tests check their futures."""
RESOURCES: dict[str, Resource] = {r.plural: r for r in (AGENT_MODELS, ROLLOUTS, CONFIG_MAPS)}


class Time:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return 1000.0 + self.seconds


@dataclass
class Request:
    """One request to the API server, made but not yet carried out."""

    words: str
    run: Callable[[], Any]
    writes: bool = True

    def __await__(self) -> Generator[Request, Any, Any]:
        return (yield self)


@dataclass
class SteppedKube:
    """`ports.Kube`: each request halts its worker until the explorer carries it out, loses it or delays it."""

    server: ApiServer

    async def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        if resource == SECRETS:
            return {
                "kind": "Secret",
                "metadata": {"name": name, "labels": {"modelops.code-chef.dev/managed": "true"}},
                "data": {"hf": "dG9rZW4=", "openrouter": "dG9rZW4="},
            }
        answer: Json | None = await Request(
            f"get {name}", lambda: self.server.read(resource, name), writes=False
        )
        return answer

    async def list(
        self, resource: Resource, *, namespace: str | None = None, label_selector: str | None = None
    ) -> tuple[list[Json], str]:
        answer: tuple[list[Json], str] = await Request(
            f"list {resource.plural}", lambda: self.server.list(resource), writes=False
        )
        return answer

    async def create(self, resource: Resource, body: Json) -> Json:
        name = body["metadata"]["name"]
        answer: Json = await Request(f"create {name}", lambda: self.server.create(resource, body))
        return answer

    async def replace_status(self, resource: Resource, body: Json) -> Json:
        name = body["metadata"]["name"]
        answer: Json = await Request(f"status {name}", lambda: self.server.replace_status(resource, body))
        return answer

    async def patch(self, resource: Resource, namespace: str, name: str, merge: Json) -> Json:
        words = f"finalizers {name}" if "finalizers" in merge["metadata"] else f"patch {name}"
        answer: Json = await Request(words, lambda: self.server.patch(resource, name, merge))
        return answer

    async def delete(
        self, resource: Resource, namespace: str, name: str, *, resource_version: str | None = None
    ) -> None:
        raise NotImplementedError

    async def event(self, regarding: Json, *, reason: str, message: str, warning: bool = False) -> None:
        return


@dataclass
class Cloud:
    """All services outside Kubernetes, without faults: endpoints start, evaluations pass, agents confirm."""

    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)
    starting: Callable[[str], None] = lambda _: None
    """Called with the name of each endpoint right before it is created."""
    deleting: Callable[[str], None] = lambda _: None
    """Called with the name of each endpoint right before it is deleted."""
    evaluations: dict[str, int] = field(default_factory=dict)
    in_sync: bool = True
    canary: TrackCounters = field(default_factory=lambda: TrackCounters(requests=500, errors=0, p95_ms=80))
    stable: TrackCounters = field(default_factory=lambda: TrackCounters(requests=2000, errors=4, p95_ms=90))
    evaluation: Json = field(default_factory=lambda: dict(EVALUATION_PASSED))

    async def model(self, token: str, repo: str, revision: str | None = None) -> ModelInfo | None:
        return ModelInfo(repo=repo, revision=revision or "")

    async def list(self, token: str, namespace: str) -> tuple[Endpoint, ...]:
        return tuple(self.endpoints.values())

    async def create(self, token: str, namespace: str, request: EndpointRequest) -> Endpoint:
        if request.name not in self.endpoints:
            self.starting(request.name)
            self.created.append(request.name)
            self.endpoints[request.name] = Endpoint(
                name=request.name,
                state="running",
                url=f"https://{request.name}.example/v1",
                repo=request.repo,
                revision=request.revision,
            )
        return self.endpoints[request.name]

    async def delete(self, token: str, namespace: str, name: str) -> None:
        self.deleting(name)
        self.endpoints.pop(name, None)

    async def usd_micro_per_hour(self, token: str, namespace: str, request: EndpointRequest) -> int | None:
        return 1_000_000

    async def answers(self, token: str, url: str) -> bool:
        return True

    async def observe(self, name: str) -> ProgramState | None:
        return ProgramState(result=self.evaluation) if name in self.evaluations else None

    async def start(
        self, name: str, module: str, program_input: Json, environment: Mapping[str, str], **more: Any
    ) -> None:
        self.evaluations[name] = self.evaluations.get(name, 0) + 1

    async def retry(self, name: str) -> None:
        self.evaluations.pop(name, None)

    async def stop(self, name: str) -> None:
        self.evaluations.pop(name, None)

    def summary(self, namespace: str, agent: str, **_: Any) -> AgentReports:
        followed = 2 if self.in_sync else 1
        return AgentReports(
            expected=2,
            heard=2,
            in_sync=followed,
            canary_reachable=followed,
            stable=self.stable,
            canary=self.canary,
        )

    def traffic(self, *_: Any) -> None:
        return None

    def unconfirmed(self, *_: Any, pods: Sequence[str], **__: Any) -> tuple[str, ...]:
        return tuple(pods)

    def fixed_files(self, namespace: str, agent: str, *, pods: Sequence[str] | None) -> tuple[str, ...]:
        return ()


@dataclass
class Worker:
    """One key being reconciled: the real coroutine, and the request or the other worker that it waits for."""

    coroutine: Coroutine[Any, Any, float | None]
    request: Request | None = None
    turn: asyncio.Future[Any] | None = None

    @property
    def may_go_on(self) -> bool:
        return self.request is not None or (self.turn is not None and self.turn.done())


class Process:
    """One operator process: a cache, memory, and one worker per key at most."""

    def __init__(
        self, server: ApiServer, cloud: Cloud, time: Time, *, settings: RolloutSettings | None = None
    ) -> None:
        self.cache = ObjectCache(monotonic=time.monotonic)
        kube: Any = SteppedKube(server)
        anything: Any = cloud
        parts = engine_parts(
            kube=kube,
            cache=self.cache,
            executor=Executor(kube, self.cache, clock=time),
            clock=time,
            jobs=anything,
            hub=anything,
            endpoints=anything,
            programs=anything,
            reports=anything,
            hub_org="org",
            installation_token="token",
        )
        self._reconcilers: dict[str, Any] = {
            "agentmodels": AgentModelReconciler(*parts.common, parts.agents, installation="0123abcd"),
            "rollouts": RolloutReconciler(*parts.common, parts.agents, settings or RolloutSettings()),
        }
        self.workers: dict[Name, Worker] = {}
        self.failures: list[str] = []

    def learn(self, name: Name, item: Json | None) -> None:
        """The watch delivers the current object, or its deletion."""
        resource = RESOURCES[name[0]]
        if item is None:
            self.cache.remove(resource, NAMESPACE, name[1])
            return
        cached = self.cache.get(resource, NAMESPACE, name[1])
        if cached is not None and cached["metadata"]["uid"] != item["metadata"]["uid"]:
            self.cache.remove(resource, NAMESPACE, name[1])
        self.cache.put(resource, item)

    def knows(self, name: Name) -> Json | None:
        return self.cache.get(RESOURCES[name[0]], NAMESPACE, name[1])

    def start(self, name: Name) -> None:
        """Begins to reconcile; runs to the first request, or to the end."""
        worker = Worker(self._reconcilers[name[0]].reconcile(NAMESPACE, name[1]))
        self.workers[name] = worker
        self._advance(name, worker, lambda: worker.coroutine.send(None))

    def carry_out(self, name: Name) -> None:
        """Carries the request out and answers it, or continues a worker that waited for another one."""
        worker = self.workers[name]
        request = worker.request
        if worker.turn is not None:
            self._advance(name, worker, lambda: worker.coroutine.send(None))
            return
        assert request is not None
        try:
            answer = request.run()
        except (Conflict, Missing) as error:
            failure = error
            self._advance(name, worker, lambda: worker.coroutine.throw(failure))
            return
        self._advance(name, worker, lambda: worker.coroutine.send(answer))

    def lose(self, name: Name, *, carried_out: bool) -> Request:
        """The answer is lost. The request is carried out now, or the caller may do that later."""
        worker = self.workers[name]
        request = worker.request
        assert request is not None
        if carried_out:
            with suppress(Conflict, Missing):
                request.run()
        self._advance(name, worker, lambda: worker.coroutine.throw(Uncertain("no answer")))
        return request

    def refuse(self, name: Name) -> None:
        """The server is busy: nothing was carried out."""
        worker = self.workers[name]
        self._advance(name, worker, lambda: worker.coroutine.throw(Unavailable("busy", retry_after=1.0)))

    def _advance(self, name: Name, worker: Worker, go: Callable[[], Any]) -> None:
        asyncio._set_running_loop(_LOOP)
        try:
            halted = go()
            worker.request = halted if isinstance(halted, Request) else None
            worker.turn = None if worker.request else halted
        except StopIteration:
            del self.workers[name]
        except (Unavailable, Uncertain):
            del self.workers[name]
        finally:
            asyncio._set_running_loop(None)

    def stop(self) -> list[Request]:
        """The process dies; returns the requests that it had sent, which may still be carried out."""
        in_flight = [w.request for w in self.workers.values() if w.request and w.request.writes]
        asyncio._set_running_loop(_LOOP)
        for worker in self.workers.values():
            worker.coroutine.close()
        asyncio._set_running_loop(None)
        self.workers.clear()
        return in_flight
