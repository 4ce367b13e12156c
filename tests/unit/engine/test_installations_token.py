"""Where an agent's Secret is gone, the installation's token ends what bills, and does nothing else."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any, cast

from tests.unit.engine_parts import engine_parts
from tests.unit.training.objects import (
    AGENT,
    INSTALLATION,
    NAMESPACE,
    ORG,
    agent_model_json,
    empty_record,
    record_json,
    secret_json,
)
from tests.unit.training.services import ApiServer, Hub, JobService, KubeClient, Name, PaidJob, Time

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.names import FINALIZER, record_name
from modelops.domain.record import EndpointEntry, Record, Reservation
from modelops.engine.agentmodel import AgentModelReconciler
from modelops.engine.cache import ObjectCache
from modelops.engine.executor import CONFIG_MAPS, Executor
from modelops.engine.resources import AGENT_MODELS
from modelops.ports import AgentReports, Credentials, Endpoint, EndpointRequest, Json

_uids = itertools.count()
OURS = "of the installation"
RECORD: Name = ("ConfigMap", record_name(AGENT))
LEFT_OVER = "gone/1"
ENTRY = EndpointEntry(
    name="mo-1",
    role="stopping",
    repo="org/m",
    revision="",
    version="v1.1.0",
    usd_micro_per_hour=1_000_000,
    instance={},
    since="2025-12-09T20:00:00+00:00",
    stop_after="2025-12-09T21:00:00+00:00",
)


@dataclass
class Endpoints:
    """Those that there are, and by whose token they were asked for."""

    there: dict[str, Endpoint] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)

    async def list(self, token: str, namespace: str) -> tuple[Endpoint, ...]:
        self.tokens.add(token)
        return tuple(self.there.values())

    async def create(self, token: str, namespace: str, request: EndpointRequest) -> Endpoint:
        raise AssertionError(f"{request.name} was started")

    async def delete(self, token: str, namespace: str, name: str) -> None:
        self.tokens.add(token)
        del self.there[name]


class Reports:
    def summary(self, namespace: str, agent: str, **_: Any) -> AgentReports:
        return AgentReports(expected=0, heard=0, in_sync=0, canary_reachable=0)


class Here:
    """One AgentModel and what it left at the services; its Secret is gone unless `more` has one."""

    def __init__(self, record: Record, *, own: str = OURS, more: tuple[Json, ...] = ()) -> None:
        self.time = Time(stepped=False)
        self.server = ApiServer(self.time)
        self.jobs, self.hub, self.endpoints = JobService(self.time), Hub(self.time), Endpoints()
        number = next(_uids)
        agent = agent_model_json(uid=f"lent-{number}")
        agent["metadata"]["finalizers"] = [FINALIZER]
        for item in (agent, record_json(record, uid=f"lent-record-{number}"), *more):
            self.server.seed(item)
        self.cache = ObjectCache(monotonic=self.time.monotonic)
        self.learn()
        kube = KubeClient(self.server)
        self.parts = engine_parts(
            kube=kube,
            cache=self.cache,
            executor=Executor(kube, self.cache, clock=self.time),
            clock=self.time,
            jobs=cast("Any", self.jobs),
            hub=self.hub,
            endpoints=cast("Any", self.endpoints),
            programs=cast("Any", None),
            reports=cast("Any", Reports()),
            hub_org=ORG,
            installation_token=own,
        )
        self.reconciler = AgentModelReconciler(
            *self.parts.common, self.parts.agents, installation=INSTALLATION
        )

    def learn(self) -> None:
        for name, resource in ((("AgentModel", AGENT), AGENT_MODELS), (RECORD, CONFIG_MAPS)):
            write_base = self.server.live(name)
            assert write_base is not None
            self.cache.put(resource, write_base)

    async def reconcile(self) -> None:
        self.learn()
        await self.reconciler.reconcile(NAMESPACE, AGENT)

    @property
    def record(self) -> Record:
        write_base = self.server.live(RECORD)
        assert write_base is not None
        return Record.from_data(write_base["data"])

    async def credentials(self, **spec: Any) -> tuple[Credentials, str]:
        agent = AgentModel.model_validate(agent_model_json(**spec))
        return await self.parts.credentials.read(NAMESPACE, agent)


def labelled(secret: Json, labels: dict[str, str]) -> Json:
    return {**secret, "metadata": {**secret["metadata"], "labels": labels}}


async def test_the_agents_own_token_is_used_where_it_is_there() -> None:
    found, problem = await Here(empty_record(), more=(secret_json(),)).credentials()
    assert (found.borrowed, problem) == (False, "")
    assert found.hugging_face not in ("", OURS)


async def test_the_installations_token_stands_in_where_the_secret_is_gone() -> None:
    found, problem = await Here(empty_record()).credentials()
    assert (found.hugging_face, found.borrowed) == (OURS, True)
    assert "Secret tokens (spec.secretRefs.huggingFace) does not exist" in problem


async def test_a_secret_that_was_not_lent_to_the_operator_is_not_replaced() -> None:
    for secret in (labelled(secret_json(), {}), {**secret_json(), "data": {}}):
        found, problem = await Here(empty_record(), more=(secret,)).credentials()
        assert (found.hugging_face, found.borrowed) == ("", False)
        assert problem


async def test_another_secret_that_is_gone_leaves_the_agents_own_token() -> None:
    refs = {"huggingFace": {"name": "tokens", "key": "token"}, "langsmith": {"name": "other", "key": "k"}}
    found, problem = await Here(empty_record(), more=(secret_json(),)).credentials(secretRefs=refs)
    assert found.hugging_face not in ("", OURS)
    assert not found.borrowed
    assert "Secret other" in problem


async def test_without_a_token_of_its_own_the_installation_cannot_stand_in() -> None:
    found, problem = await Here(empty_record(), own="").credentials()
    assert found.hugging_face == ""
    assert problem


async def test_an_endpoint_whose_time_is_up_is_deleted_and_booked() -> None:
    here = Here(empty_record().with_(endpoints=(ENTRY,)))
    here.endpoints.there[ENTRY.name] = Endpoint(
        name=ENTRY.name, state="running", url="", repo="org/m", revision=""
    )
    here.time.seconds = 60
    await here.reconcile()
    await here.reconcile()
    assert (here.endpoints.there, here.record.endpoints) == ({}, ())
    assert here.endpoints.tokens == {OURS}


async def test_an_endpoint_that_should_serve_is_not_started() -> None:
    here = Here(empty_record().with_(endpoints=(ENTRY.model_copy(update={"role": "stable"}),)))
    await here.reconcile()
    assert (here.endpoints.tokens, here.endpoints.there) == ({OURS}, {})


async def test_a_reservation_of_a_run_that_is_gone_is_swept() -> None:
    cover = Reservation(usd_micro=375_000, month="2025-12", name="docs-1", repo="org/m", account=ORG)
    here = Here(empty_record().with_(reservations={LEFT_OVER: cover}))
    left = PaidJob(id="job1", label=f"{INSTALLATION}-gone-1", created_at=0.0, listed=True)
    here.jobs.jobs.append(left)
    await here.reconcile()
    assert (left.state, here.hub.claims[1].closed) == ("cancelled", True)
    assert here.jobs.tokens == [OURS]
    await here.reconcile()
    here.time.seconds += 60
    await here.reconcile()
    assert here.record.reservations == {}
    assert LEFT_OVER in here.record.settlements
