"""The executor on a real API server: what it does when an object has changed since the plan was made."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import ClassVar

import pytest
from tests.cluster.losing_proxy import LosingProxy, losing_proxy
from tests.cluster.policies import apply_for_all
from tests.patience import patient

from modelops.adapters.kube import Connection, KubeClient, Transport
from modelops.api.v1alpha1.meta import StatusModel
from modelops.domain.plan import (
    Action,
    Announce,
    Authority,
    Plan,
    Write,
    WriteFile,
    WriteFinalizers,
    WriteRecord,
    WriteStatus,
)
from modelops.domain.record import Record, Target, initial_record
from modelops.engine.cache import ObjectCache
from modelops.engine.executor import CONFIG_MAPS, Executed, Executor, WriteBase
from modelops.localcluster import LocalCluster
from modelops.localcluster.crds import wait_until_established
from modelops.ports import Json, NotLeader, Refused, Resource, Unavailable, Uncertain

GROUP = "engine-test.modelops.code-chef.dev"
GADGETS = Resource(group=GROUP, version="v1", plural="gadgets", kind="Gadget")
GADGET_CRD = f"""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: gadgets.{GROUP}}}
spec:
  group: {GROUP}
  scope: Namespaced
  names: {{plural: gadgets, kind: Gadget}}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {{status: {{}}}}
    schema:
      openAPIV3Schema:
        type: object
        required: [spec]
        properties:
          spec: {{type: object, properties: {{size: {{type: integer}}}}}}
          status: {{type: object, properties: {{step: {{type: integer, maximum: 9}}}}}}
"""


Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]


class GadgetStatus(StatusModel):
    step: int = 0


STABLE = Target(
    version="v1.0.0", model="m", endpoint="huggingface", endpoint_url="https://x", api_key_env="K"
)
RECORD = initial_record(
    agent="docs", stable=STABLE, now="2026-01-01T00:00:00Z", config_map="agents", config_key="agents.yaml"
)


@dataclass(frozen=True, kw_only=True)
class SampleAction(Action):
    """An action outside Kubernetes."""

    authority: ClassVar[Authority] = Authority.AGENT
    trace: ClassVar[str] = "call"


@dataclass
class ExecutorHarness:
    """An executor behind the proxy, another client without the proxy, and the objects that the plans change."""

    executor: Executor
    cache: ObjectCache
    proxy: LosingProxy
    other_client: KubeClient
    proxied_client: KubeClient
    namespace: str
    write_base: WriteBase
    performed: list[Action]

    async def execute_plan(self, *steps: Write | Action, action_error: Exception | None = None) -> Executed:
        async def perform(step: Action) -> None:
            self.performed.append(step)
            if action_error is not None:
                raise action_error

        return await self.executor.execute(
            Plan(steps=steps),
            self.write_base,
            resource=GADGETS,
            record_ref=(self.namespace, "docs-modelops-record", {"modelops.code-chef.dev/record": "docs"}),
            file_ref=(self.namespace, "agents", "agents.yaml"),
            perform=perform,
        )

    async def read(self, resource: Resource, name: str) -> Json:
        found = await self.other_client.get(resource, self.namespace, name)
        assert found is not None
        return found

    async def patch_as_other_client(self, resource: Resource, name: str, change: Json) -> Json:
        """A write by another client."""
        version = (await self.read(resource, name))["metadata"]["resourceVersion"]
        merge = {**change, "metadata": {**change.get("metadata", {}), "resourceVersion": version}}
        return await self.other_client.patch(resource, self.namespace, name, merge)


@pytest.fixture
async def harness(cluster: LocalCluster, kubectl: Kubectl, namespace: str) -> AsyncIterator[ExecutorHarness]:
    apply_for_all(kubectl, "-f", "-", input=GADGET_CRD)
    command = [cluster.kubectl, "--kubeconfig", cluster.kubeconfig]
    wait_until_established(command, f"crd/gadgets.{GROUP}", seconds=patient(30))
    connection = Connection.from_kubeconfig(cluster.kubeconfig)
    async with losing_proxy(connection) as proxy, KubeClient(Transport(connection)) as other_client:
        metadata = {"namespace": namespace, "name": "g", "finalizers": [f"{GROUP}/cleanup"]}
        gadget = {"apiVersion": f"{GROUP}/v1", "kind": "Gadget", "metadata": metadata, "spec": {"size": 1}}
        made = await other_client.create(GADGETS, gadget)
        file = await other_client.create(
            CONFIG_MAPS,
            {
                "metadata": {"namespace": namespace, "name": "agents"},
                "data": {"agents.yaml": "a", "other": "o"},
            },
        )
        proxied_client = Transport(dataclasses.replace(connection, server=proxy.url), request_seconds=5)
        async with KubeClient(proxied_client) as kube:
            cache = ObjectCache(monotonic=lambda: 0.0)
            cache.put(GADGETS, made)
            cache.put(CONFIG_MAPS, file)
            yield ExecutorHarness(
                executor=Executor(kube, cache),
                cache=cache,
                proxy=proxy,
                other_client=other_client,
                proxied_client=kube,
                namespace=namespace,
                write_base=WriteBase(object=made, file=file),
                performed=[],
            )
    # Without this the namespace would never end: see tests/namespaces.py.
    kubectl(
        "patch",
        f"gadgets.{GROUP}",
        "g",
        "--type=merge",
        "-p",
        '{"metadata":{"finalizers":null}}',
        namespace=namespace,
    )


def status(step: int) -> WriteStatus:
    return WriteStatus(status=GadgetStatus(step=step))


def file(text: str, **more: tuple[str, int]) -> WriteFile:
    return WriteFile(text=text, purpose="test", **more)


async def test_a_plan_carries_out_its_steps_in_order(harness: ExecutorHarness) -> None:
    executed = await harness.execute_plan(
        status(1),
        WriteRecord(record=RECORD, purpose="first"),
        WriteRecord(record=RECORD.with_(deployed_at="later"), purpose="second"),
        file("b"),
        SampleAction(),
        Announce(reason="Tested", message="all of it"),
        status(2),
        WriteFinalizers(finalizers=(f"{GROUP}/cleanup", f"{GROUP}/more")),
    )
    assert executed == Executed(done=True, wrote=6, file_written_at=executed.file_written_at)
    assert executed.file_written_at is not None
    gadget = await harness.read(GADGETS, "g")
    record = await harness.read(CONFIG_MAPS, "docs-modelops-record")
    assert gadget["status"] == {"step": 2}
    assert gadget["metadata"]["finalizers"] == [f"{GROUP}/cleanup", f"{GROUP}/more"]
    assert Record.from_data(record["data"]).deployed_at == "later"
    assert record["metadata"]["labels"] == {
        "modelops.code-chef.dev/record": "docs",
        "modelops.code-chef.dev/managed": "true",
    }
    assert (await harness.read(CONFIG_MAPS, "agents"))["data"] == {"agents.yaml": "b", "other": "o"}
    assert harness.performed == [SampleAction()]
    write_base = harness.cache.get(GADGETS, harness.namespace, "g")
    assert write_base is not None
    assert write_base["metadata"]["resourceVersion"] == gadget["metadata"]["resourceVersion"]
    assert harness.write_base.object == gadget


async def test_an_unchanged_status_and_unchanged_finalizers_are_not_written(harness: ExecutorHarness) -> None:
    await harness.execute_plan(status(1))
    before = len(harness.proxy.writes())
    executed = await harness.execute_plan(status(1), WriteFinalizers(finalizers=(f"{GROUP}/cleanup",)))
    assert executed == Executed(done=True, wrote=0)
    assert len(harness.proxy.writes()) == before


async def test_a_newer_object_stops_the_plan_and_is_read(harness: ExecutorHarness) -> None:
    newer = await harness.patch_as_other_client(GADGETS, "g", {"spec": {"size": 2}})
    executed = await harness.execute_plan(status(1), file("b"))
    assert executed == Executed(done=False, conflict="object")
    assert harness.write_base.object["metadata"]["resourceVersion"] == newer["metadata"]["resourceVersion"]
    write_base = harness.cache.get(GADGETS, harness.namespace, "g")
    assert write_base is not None
    assert write_base["spec"] == {"size": 2}
    assert (await harness.read(CONFIG_MAPS, "agents"))["data"]["agents.yaml"] == "a"


async def test_a_newer_file_stops_the_plan_and_returns_the_intent_to_rebase(harness: ExecutorHarness) -> None:
    await harness.patch_as_other_client(CONFIG_MAPS, "agents", {"data": {"other": "foreign"}})
    executed = await harness.execute_plan(status(1), file("b", intended=("uid", 1)))
    assert executed == Executed(done=False, conflict="file", rebase=("uid", 1), wrote=1)
    assert harness.write_base.file is not None
    assert harness.write_base.file["data"] == {"agents.yaml": "a", "other": "foreign"}


async def test_a_file_write_without_an_intent_of_this_plan_is_not_rebased(harness: ExecutorHarness) -> None:
    await harness.patch_as_other_client(CONFIG_MAPS, "agents", {"data": {"other": "foreign"}})
    assert await harness.execute_plan(file("b")) == Executed(done=False, conflict="file")


async def test_a_record_created_by_another_client_is_a_conflict_and_is_read(harness: ExecutorHarness) -> None:
    assert (await harness.execute_plan(WriteRecord(record=RECORD, purpose="first"))).done
    harness.write_base.record = None
    executed = await harness.execute_plan(
        WriteRecord(record=RECORD.with_(deployed_at="later"), purpose="again")
    )
    assert executed == Executed(done=False, conflict="record")
    assert harness.write_base.record is not None
    assert Record.from_data(harness.write_base.record["data"]) == RECORD


@pytest.mark.parametrize("seen_by_the_watch", [True, False])
async def test_the_time_of_a_file_write_is_kept_where_the_record_is_newer_behind_it(
    harness: ExecutorHarness, *, seen_by_the_watch: bool
) -> None:
    """The time until the last agent is back on stable is counted from it; the AgentModel may write in between."""
    assert (await harness.execute_plan(WriteRecord(record=RECORD, purpose="first"))).done
    newer = await harness.patch_as_other_client(CONFIG_MAPS, "docs-modelops-record", {"data": {"note": "x"}})
    if seen_by_the_watch:
        harness.cache.put(CONFIG_MAPS, newer)
    later = RECORD.with_(deployed_at="later")
    executed = await harness.execute_plan(file("b"), WriteRecord(record=later, purpose="release"))
    assert executed.conflict == "record"
    assert executed.file_written_at is not None


async def test_a_deleted_file_is_removed_from_the_cache(harness: ExecutorHarness) -> None:
    await harness.other_client.delete(CONFIG_MAPS, harness.namespace, "agents")
    executed = await harness.execute_plan(file("b", intended=("uid", 1)))
    assert executed == Executed(done=False, conflict="file")
    assert harness.write_base.file is None
    assert harness.cache.get(CONFIG_MAPS, harness.namespace, "agents") is None


async def test_a_lost_answer_to_a_file_write_is_read_back_and_never_rebased(harness: ExecutorHarness) -> None:
    await harness.execute_plan(status(1))
    harness.proxy.lose_answers = True
    with pytest.raises(Unavailable):  # the live read fails as well: the queue tries again
        await harness.execute_plan(file("b", intended=("uid", 1)))
    harness.proxy.lose_answers = False
    assert (await harness.read(CONFIG_MAPS, "agents"))["data"]["agents.yaml"] == "b"

    executed = await harness.execute_plan(file("c", intended=("uid", 1)))
    assert executed == Executed(done=False, conflict="file", rebase=("uid", 1))
    assert harness.write_base.file is not None
    assert harness.write_base.file["data"]["agents.yaml"] == "b"


async def test_a_lost_answer_stops_the_plan_and_the_live_object_is_read(harness: ExecutorHarness) -> None:
    class LoseOnce(KubeClient):
        async def replace_status(self, resource: Resource, body: Json) -> Json:
            harness.proxy.lose_answers = True
            try:
                return await super().replace_status(resource, body)
            finally:
                harness.proxy.lose_answers = False

    harness.executor = Executor(LoseOnce(harness.proxied_client.transport), harness.cache)
    executed = await harness.execute_plan(status(1), SampleAction())
    assert executed == Executed(done=False, retry_after=0.0)
    assert harness.performed == []
    assert harness.write_base.object["status"] == {"step": 1}


async def test_removing_the_last_finalizer_removes_the_object_from_the_cache(
    harness: ExecutorHarness,
) -> None:
    await harness.other_client.delete(GADGETS, harness.namespace, "g")
    harness.write_base.object = await harness.read(GADGETS, "g")
    assert await harness.execute_plan(WriteFinalizers(finalizers=())) == Executed(done=True, wrote=1)
    assert harness.cache.get(GADGETS, harness.namespace, "g") is None
    assert await harness.other_client.get(GADGETS, harness.namespace, "g") is None


async def test_a_write_that_the_api_server_rejects_is_refused(harness: ExecutorHarness) -> None:
    with pytest.raises(Refused, match=r"status\.step"):
        await harness.execute_plan(status(10))


@pytest.mark.parametrize(
    ("error", "retry_after"),
    [(Unavailable("busy", retry_after=7.0), 7.0), (Unavailable("busy"), 1.0), (Uncertain("lost"), 1.0)],
)
async def test_an_unavailable_service_stops_the_plan_with_a_retry_delay(
    harness: ExecutorHarness, error: Exception, retry_after: float
) -> None:
    executed = await harness.execute_plan(status(1), SampleAction(), status(2), action_error=error)
    assert executed == Executed(done=False, retry_after=retry_after, wrote=1)
    assert (await harness.read(GADGETS, "g"))["status"] == {"step": 1}


async def test_only_the_leader_writes(harness: ExecutorHarness) -> None:
    def refuse() -> None:
        raise NotLeader("no")

    harness.executor = Executor(harness.proxied_client.with_before_write(refuse), harness.cache)
    with pytest.raises(NotLeader):
        await harness.execute_plan(status(1))
    assert harness.proxy.writes() == []
