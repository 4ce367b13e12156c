"""The executor against a real API server: what it does when an object is not what was decided from."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import ClassVar

import pytest
from tests.cluster.losing_proxy import LosingProxy, losing_proxy

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
class Call(Action):
    """Something outside Kubernetes."""

    authority: ClassVar[Authority] = Authority.AGENT
    trace: ClassVar[str] = "call"


@dataclass
class Bench:
    """One executor behind the proxy, one client beside it, and what the plans are about."""

    executor: Executor
    cache: ObjectCache
    proxy: LosingProxy
    beside: KubeClient
    through: KubeClient
    namespace: str
    write_base: WriteBase
    did: list[Action]

    async def carry_out(self, *steps: Write | Action, do_raises: Exception | None = None) -> Executed:
        async def perform(step: Action) -> None:
            self.did.append(step)
            if do_raises is not None:
                raise do_raises

        return await self.executor.execute(
            Plan(steps=steps),
            self.write_base,
            resource=GADGETS,
            record_ref=(self.namespace, "docs-modelops-record", {"modelops.code-chef.dev/record": "docs"}),
            file_ref=(self.namespace, "agents", "agents.yaml"),
            perform=perform,
        )

    async def live(self, resource: Resource, name: str) -> Json:
        found = await self.beside.get(resource, self.namespace, name)
        assert found is not None
        return found

    async def change_beside(self, resource: Resource, name: str, change: Json) -> Json:
        """Somebody else's write."""
        version = (await self.live(resource, name))["metadata"]["resourceVersion"]
        merge = {**change, "metadata": {**change.get("metadata", {}), "resourceVersion": version}}
        return await self.beside.patch(resource, self.namespace, name, merge)


@pytest.fixture
async def bench(cluster: LocalCluster, kubectl: Kubectl, namespace: str) -> AsyncIterator[Bench]:
    kubectl("apply", "-f", "-", input=GADGET_CRD, check=True)
    kubectl("wait", "--for=condition=Established", f"crd/gadgets.{GROUP}", check=True)
    connection = Connection.from_kubeconfig(cluster.kubeconfig)
    async with losing_proxy(connection) as proxy, KubeClient(Transport(connection)) as beside:
        metadata = {"namespace": namespace, "name": "g", "finalizers": [f"{GROUP}/cleanup"]}
        gadget = {"apiVersion": f"{GROUP}/v1", "kind": "Gadget", "metadata": metadata, "spec": {"size": 1}}
        made = await beside.create(GADGETS, gadget)
        file = await beside.create(
            CONFIG_MAPS,
            {
                "metadata": {"namespace": namespace, "name": "agents"},
                "data": {"agents.yaml": "a", "other": "o"},
            },
        )
        through = Transport(dataclasses.replace(connection, server=proxy.url), request_seconds=5)
        async with KubeClient(through) as kube:
            cache = ObjectCache(monotonic=lambda: 0.0)
            cache.put(GADGETS, made)
            cache.put(CONFIG_MAPS, file)
            yield Bench(
                executor=Executor(kube, cache),
                cache=cache,
                proxy=proxy,
                beside=beside,
                through=kube,
                namespace=namespace,
                write_base=WriteBase(object=made, file=file),
                did=[],
            )


def status(step: int) -> WriteStatus:
    return WriteStatus(status=GadgetStatus(step=step))


def file(text: str, **more: tuple[str, int]) -> WriteFile:
    return WriteFile(text=text, purpose="test", **more)


async def test_writes_of_one_plan_follow_each_other(bench: Bench) -> None:
    executed = await bench.carry_out(
        status(1),
        WriteRecord(record=RECORD, purpose="first"),
        WriteRecord(record=RECORD.with_(deployed_at="later"), purpose="second"),
        file("b"),
        Call(),
        Announce(reason="Tested", message="all of it"),
        status(2),
        WriteFinalizers(finalizers=(f"{GROUP}/cleanup", f"{GROUP}/more")),
    )
    assert executed == Executed(done=True, wrote=6, file_written_at=executed.file_written_at)
    assert executed.file_written_at is not None
    gadget = await bench.live(GADGETS, "g")
    record = await bench.live(CONFIG_MAPS, "docs-modelops-record")
    assert gadget["status"] == {"step": 2}
    assert gadget["metadata"]["finalizers"] == [f"{GROUP}/cleanup", f"{GROUP}/more"]
    assert Record.from_data(record["data"]).deployed_at == "later"
    assert record["metadata"]["labels"] == {
        "modelops.code-chef.dev/record": "docs",
        "modelops.code-chef.dev/managed": "true",
    }
    assert (await bench.live(CONFIG_MAPS, "agents"))["data"] == {"agents.yaml": "b", "other": "o"}
    assert bench.did == [Call()]
    write_base = bench.cache.get(GADGETS, bench.namespace, "g")
    assert write_base is not None
    assert write_base["metadata"]["resourceVersion"] == gadget["metadata"]["resourceVersion"]
    assert bench.write_base.object == gadget


async def test_an_equal_status_and_equal_finalizers_are_not_written(bench: Bench) -> None:
    await bench.carry_out(status(1))
    before = len(bench.proxy.writes())
    executed = await bench.carry_out(status(1), WriteFinalizers(finalizers=(f"{GROUP}/cleanup",)))
    assert executed == Executed(done=True, wrote=0)
    assert len(bench.proxy.writes()) == before


async def test_a_newer_object_ends_the_plan_and_is_read(bench: Bench) -> None:
    newer = await bench.change_beside(GADGETS, "g", {"spec": {"size": 2}})
    executed = await bench.carry_out(status(1), file("b"))
    assert executed == Executed(done=False, conflict="object")
    assert bench.write_base.object["metadata"]["resourceVersion"] == newer["metadata"]["resourceVersion"]
    write_base = bench.cache.get(GADGETS, bench.namespace, "g")
    assert write_base is not None
    assert write_base["spec"] == {"size": 2}
    assert (await bench.live(CONFIG_MAPS, "agents"))["data"]["agents.yaml"] == "a"


async def test_a_newer_file_gives_the_intent_to_rebase(bench: Bench) -> None:
    await bench.change_beside(CONFIG_MAPS, "agents", {"data": {"other": "foreign"}})
    executed = await bench.carry_out(status(1), file("b", intended=("uid", 1)))
    assert executed == Executed(done=False, conflict="file", rebase=("uid", 1), wrote=1)
    assert bench.write_base.file is not None
    assert bench.write_base.file["data"] == {"agents.yaml": "a", "other": "foreign"}


async def test_a_file_write_that_was_not_intended_just_now_gives_no_rebase(bench: Bench) -> None:
    await bench.change_beside(CONFIG_MAPS, "agents", {"data": {"other": "foreign"}})
    assert await bench.carry_out(file("b")) == Executed(done=False, conflict="file")


async def test_a_record_that_somebody_made_first_is_a_conflict_and_is_read(bench: Bench) -> None:
    assert (await bench.carry_out(WriteRecord(record=RECORD, purpose="first"))).done
    bench.write_base.record = None
    executed = await bench.carry_out(WriteRecord(record=RECORD.with_(deployed_at="later"), purpose="again"))
    assert executed == Executed(done=False, conflict="record")
    assert bench.write_base.record is not None
    assert Record.from_data(bench.write_base.record["data"]) == RECORD


async def test_a_file_that_is_gone_is_gone_from_the_cache(bench: Bench) -> None:
    await bench.beside.delete(CONFIG_MAPS, bench.namespace, "agents")
    executed = await bench.carry_out(file("b", intended=("uid", 1)))
    assert executed == Executed(done=False, conflict="file")
    assert bench.write_base.file is None
    assert bench.cache.get(CONFIG_MAPS, bench.namespace, "agents") is None


async def test_a_lost_answer_to_a_file_write_is_read_back_and_never_rebased(bench: Bench) -> None:
    await bench.carry_out(status(1))
    bench.proxy.lose_answers = True
    with pytest.raises(Unavailable):  # the live read fails as well: the queue tries again
        await bench.carry_out(file("b", intended=("uid", 1)))
    bench.proxy.lose_answers = False
    assert (await bench.live(CONFIG_MAPS, "agents"))["data"]["agents.yaml"] == "b"

    executed = await bench.carry_out(file("c", intended=("uid", 1)))
    assert executed == Executed(done=False, conflict="file", rebase=("uid", 1))
    assert bench.write_base.file is not None
    assert bench.write_base.file["data"]["agents.yaml"] == "b"


async def test_a_lost_answer_ends_the_plan_and_shows_what_is_true(bench: Bench) -> None:
    class LoseOnce(KubeClient):
        async def replace_status(self, resource: Resource, body: Json) -> Json:
            bench.proxy.lose_answers = True
            try:
                return await super().replace_status(resource, body)
            finally:
                bench.proxy.lose_answers = False

    bench.executor = Executor(LoseOnce(bench.through.transport), bench.cache)
    executed = await bench.carry_out(status(1), Call())
    assert executed == Executed(done=False, retry_after=0.0)
    assert bench.did == []
    assert bench.write_base.object["status"] == {"step": 1}


async def test_the_last_finalizer_takes_the_object_out_of_the_cache(bench: Bench) -> None:
    await bench.beside.delete(GADGETS, bench.namespace, "g")
    bench.write_base.object = await bench.live(GADGETS, "g")
    assert await bench.carry_out(WriteFinalizers(finalizers=())) == Executed(done=True, wrote=1)
    assert bench.cache.get(GADGETS, bench.namespace, "g") is None
    assert await bench.beside.get(GADGETS, bench.namespace, "g") is None


async def test_what_the_api_server_will_not_take_is_an_error(bench: Bench) -> None:
    with pytest.raises(Refused, match=r"status\.step"):
        await bench.carry_out(status(10))


@pytest.mark.parametrize(
    ("error", "retry_after"),
    [(Unavailable("busy", retry_after=7.0), 7.0), (Unavailable("busy"), 1.0), (Uncertain("lost"), 1.0)],
)
async def test_what_a_service_cannot_do_now_is_tried_later(
    bench: Bench, error: Exception, retry_after: float
) -> None:
    executed = await bench.carry_out(status(1), Call(), status(2), do_raises=error)
    assert executed == Executed(done=False, retry_after=retry_after, wrote=1)
    assert (await bench.live(GADGETS, "g"))["status"] == {"step": 1}


async def test_who_does_not_lead_writes_nothing(bench: Bench) -> None:
    def shut() -> None:
        raise NotLeader("no")

    bench.executor = Executor(bench.through.with_gate(shut), bench.cache)
    with pytest.raises(NotLeader):
        await bench.carry_out(status(1))
    assert bench.proxy.writes() == []
