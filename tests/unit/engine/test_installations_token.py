"""After an agent's Secret was deleted, the installation's token ends jobs and endpoints, and starts none."""

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
INSTALLATION_TOKEN = "token of the installation"
RECORD: Name = ("ConfigMap", record_name(AGENT))
DELETED_RUN = "deleted/1"
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
    """`ports.Endpoints` that keeps the existing endpoints and the tokens that were used."""

    existing: dict[str, Endpoint] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)

    async def list(self, token: str, namespace: str) -> tuple[Endpoint, ...]:
        self.tokens.add(token)
        return tuple(self.existing.values())

    async def create(self, token: str, namespace: str, request: EndpointRequest) -> Endpoint:
        raise AssertionError(f"{request.name} was started")

    async def delete(self, token: str, namespace: str, name: str) -> None:
        self.tokens.add(token)
        del self.existing[name]


class Reports:
    def summary(self, namespace: str, agent: str, **_: Any) -> AgentReports:
        return AgentReports(expected=0, heard=0, in_sync=0, canary_reachable=0)

    def traffic(self, *_: Any) -> None:
        return None

    def unconfirmed(self, *_: Any, **__: Any) -> tuple[str, ...]:
        return ()

    def fixed_files(self, namespace: str, agent: str, **_: Any) -> tuple[str, ...]:
        return ()


class AgentWithoutSecret:
    """One AgentModel with its record and services. It has no Secret unless `more` has one."""

    def __init__(
        self, record: Record, *, installation_token: str = INSTALLATION_TOKEN, more: tuple[Json, ...] = ()
    ) -> None:
        self.time = Time(stepped=False)
        self.server = ApiServer(self.time)
        self.jobs, self.hub, self.endpoints = JobService(self.time), Hub(self.time), Endpoints()
        number = next(_uids)
        agent = agent_model_json(uid=f"lent-{number}")
        agent["metadata"]["finalizers"] = [FINALIZER]
        for item in (agent, record_json(record, uid=f"lent-record-{number}"), *more):
            self.server.seed(item)
        self.cache = ObjectCache(monotonic=self.time.monotonic)
        self.fill_cache()
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
            installation_token=installation_token,
        )
        self.reconciler = AgentModelReconciler(
            *self.parts.common, self.parts.agents, installation=INSTALLATION
        )

    def fill_cache(self) -> None:
        for name, resource in ((("AgentModel", AGENT), AGENT_MODELS), (RECORD, CONFIG_MAPS)):
            write_base = self.server.live(name)
            assert write_base is not None
            self.cache.put(resource, write_base)

    async def reconcile(self) -> None:
        self.fill_cache()
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


async def test_the_agents_own_token_is_used_if_it_exists() -> None:
    found, problem = await AgentWithoutSecret(empty_record(), more=(secret_json(),)).credentials()
    assert (found.is_installation_token, problem) == (False, "")
    assert found.hugging_face not in ("", INSTALLATION_TOKEN)


async def test_the_installations_token_is_used_if_the_secret_was_deleted() -> None:
    found, problem = await AgentWithoutSecret(empty_record()).credentials()
    assert (found.hugging_face, found.is_installation_token) == (INSTALLATION_TOKEN, True)
    assert "Secret tokens (spec.secretRefs.huggingFace) does not exist" in problem
    assert "create it with the label modelops.code-chef.dev/managed=true and the key token" in problem


async def test_the_installations_token_does_not_replace_an_unlabelled_or_empty_secret() -> None:
    for secret in (labelled(secret_json(), {}), {**secret_json(), "data": {}}):
        found, problem = await AgentWithoutSecret(empty_record(), more=(secret,)).credentials()
        assert (found.hugging_face, found.is_installation_token) == ("", False)
        assert problem


async def test_a_label_that_was_added_counts_at_the_next_use() -> None:
    bench = AgentWithoutSecret(empty_record(), more=(labelled(secret_json(), {}),))
    _, problem = await bench.credentials()
    assert "does not carry the label" in problem
    bench.server.seed(secret_json())
    found, problem = await bench.credentials()
    assert (bool(found.hugging_face), problem) == (True, "")


async def test_a_deleted_langsmith_secret_leaves_the_agents_own_token() -> None:
    refs = {"huggingFace": {"name": "tokens", "key": "token"}, "langsmith": {"name": "other", "key": "k"}}
    found, problem = await AgentWithoutSecret(empty_record(), more=(secret_json(),)).credentials(
        secretRefs=refs
    )
    assert found.hugging_face not in ("", INSTALLATION_TOKEN)
    assert not found.is_installation_token
    assert "Secret other" in problem


async def test_without_an_installation_token_there_is_no_token() -> None:
    found, problem = await AgentWithoutSecret(empty_record(), installation_token="").credentials()
    assert found.hugging_face == ""
    assert problem


async def test_an_endpoint_after_its_stop_time_is_deleted_and_booked() -> None:
    bench = AgentWithoutSecret(empty_record().with_(endpoints=(ENTRY,)))
    bench.endpoints.existing[ENTRY.name] = Endpoint(
        name=ENTRY.name, state="running", url="", repo="org/m", revision=""
    )
    bench.time.seconds = 60
    await bench.reconcile()
    await bench.reconcile()
    assert (bench.endpoints.existing, bench.record.endpoints) == ({}, ())
    assert bench.endpoints.tokens == {INSTALLATION_TOKEN}


async def test_an_endpoint_that_should_serve_is_not_started() -> None:
    bench = AgentWithoutSecret(empty_record().with_(endpoints=(ENTRY.model_copy(update={"role": "stable"}),)))
    await bench.reconcile()
    assert (bench.endpoints.tokens, bench.endpoints.existing) == ({INSTALLATION_TOKEN}, {})


async def test_a_reservation_of_a_deleted_run_is_settled() -> None:
    cover = Reservation(usd_micro=375_000, month="2025-12", name="docs-1", repo="org/m", account=ORG)
    bench = AgentWithoutSecret(empty_record().with_(reservations={DELETED_RUN: cover}))
    left = PaidJob(id="job1", label=f"{INSTALLATION}-deleted-1", namespace=ORG, created_at=0.0, listed=True)
    bench.jobs.jobs.append(left)
    await bench.reconcile()
    assert (left.state, bench.hub.claims[1].closed) == ("cancelled", True)
    assert bench.jobs.tokens == [INSTALLATION_TOKEN]
    await bench.reconcile()
    bench.time.seconds += 60
    await bench.reconcile()
    assert bench.record.reservations == {}
    assert DELETED_RUN in bench.record.settlements


async def test_two_orphaned_attempts_are_settled_in_one_plan_and_none_is_lost() -> None:
    """The second write starts from the record that the first one left."""
    cover = Reservation(usd_micro=375_000, month="2025-12", name="docs-1", repo="org/m", account=ORG)
    both = (DELETED_RUN, "deleted-too/1")
    bench = AgentWithoutSecret(empty_record().with_(reservations=dict.fromkeys(both, cover)))
    await bench.reconcile()
    bench.time.seconds += 60
    await bench.reconcile()
    assert bench.record.reservations == {}
    assert set(bench.record.settlements) == set(both)
