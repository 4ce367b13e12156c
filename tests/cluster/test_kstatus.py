"""What Helm and Flux see of real objects, from the moment that they are created: see tests/kstatus.py."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.cluster.losing_proxy import losing_proxy
from tests.cluster.operator_process import Operator, kubeconfig_through, operator
from tests.kstatus import CURRENT, FAILED, IN_PROGRESS, kstatus
from tests.patience import patient

from modelops.adapters.kube import Connection, KubeClient, Transport, Watch
from modelops.engine.resources import AGENT_MODELS, ROLLOUTS, TRAINING_RUNS
from modelops.localcluster import LocalCluster
from modelops.ports import Json, Resource

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]
SAMPLES = Path(__file__).parents[2] / "config" / "samples"
KINDS = {
    AGENT_MODELS: "agentmodel-docs.yaml",
    TRAINING_RUNS: "trainingrun-docs.yaml",
    ROLLOUTS: "rollout-docs-evaluate-only.yaml",
}
ALL_THREE = {"Ready", "Stalled", "Reconciling"}


@dataclass
class Life:
    """Every version of the objects of one kind that the API server delivered, oldest first."""

    versions: list[Json] = field(default_factory=list)

    async def listed(self, items: Sequence[Json], resource_version: str) -> None:
        self.versions.extend(items)

    def changed(self, item: Json) -> None:
        self.versions.append(item)

    def deleted(self, item: Json) -> None: ...

    def alive(self) -> None: ...

    @property
    def seen(self) -> list[str]:
        """What kstatus said of each version, without repetitions."""
        found: list[str] = []
        for version in self.versions:
            if (now := kstatus(version)) != (found[-1] if found else ""):
                found.append(now)
        return found

    async def reach(self, status: str, *, generation: int = 1) -> None:
        """Waits until the newest version has this status and this generation."""
        try:
            async with asyncio.timeout(patient(30)):
                while not self._is_at(status, generation):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"not {status}: {self.versions[-1:]}") from None

    def _is_at(self, status: str, generation: int) -> bool:
        newest = self.versions[-1] if self.versions else None
        return (
            newest is not None
            and newest["metadata"]["generation"] == generation
            and kstatus(newest) == status
        )


@pytest.fixture
def connection(cluster: LocalCluster) -> Connection:
    return Connection.from_kubeconfig(cluster.kubeconfig)


@pytest.fixture
async def lives(connection: Connection, namespace: str) -> AsyncIterator[dict[Resource, Life]]:
    found = {resource: Life() for resource in KINDS}
    async with KubeClient(Transport(connection)) as kube:
        tasks = [
            asyncio.create_task(Watch(kube, resource, life, namespace=namespace, label_selector="").run())
            for resource, life in found.items()
        ]
        yield found
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.fixture
async def running(connection: Connection, namespace: str, tmp_path: Path) -> AsyncIterator[Operator]:
    async with losing_proxy(connection) as proxy:
        kubeconfig = kubeconfig_through(connection, proxy.url, tmp_path / "kubeconfig", namespace=namespace)
        async with operator(kubeconfig, tmp_path / "state") as process:
            await process.wait_until_ready()
            yield process


def create(kubectl: Kubectl, namespace: str) -> None:
    for sample in KINDS.values():
        kubectl("create", "-f", str(SAMPLES / sample), namespace=namespace, check=True)


async def test_a_fresh_object_is_in_progress_before_any_operator_has_seen_it(
    kubectl: Kubectl, namespace: str, lives: dict[Resource, Life]
) -> None:
    create(kubectl, namespace)
    for life in lives.values():
        await life.reach(IN_PROGRESS)
        assert life.versions[0]["status"] == {"observedGeneration": 0}


async def test_the_first_status_and_each_later_one_say_what_helm_waits_for(
    kubectl: Kubectl, namespace: str, lives: dict[Resource, Life], running: Operator
) -> None:
    create(kubectl, namespace)
    agent_model, run, rollout = lives.values()
    for life in lives.values():
        await life.reach(IN_PROGRESS)
    await running.wait_until(lambda: all(has_conditions(life) for life in lives.values()))
    secret = [f"--from-literal={key}=some-token" for key in ("hugging-face", "langsmith", "openrouter")]
    kubectl("create", "secret", "generic", "modelops-tokens", *secret, namespace=namespace, check=True)
    managed = "modelops.code-chef.dev/managed=true"
    kubectl("label", "secret", "modelops-tokens", managed, namespace=namespace, check=True)
    kubectl("create", "-f", str(SAMPLES / "agents-configmap.yaml"), namespace=namespace, check=True)
    await agent_model.reach(CURRENT)
    edit = '{"spec":{"budget":{"monthlyUSD":"99"}}}'
    kubectl("patch", "amod", "docs", "--type=merge", "-p", edit, namespace=namespace, check=True)
    await agent_model.reach(CURRENT, generation=2)
    for short, field_, life in (("mtr", "cancel", run), ("mro", "abort", rollout)):
        name = life.versions[0]["metadata"]["name"]
        edit = f'{{"spec":{{"{field_}":true}}}}'
        kubectl("patch", short, name, "--type=merge", "-p", edit, namespace=namespace, check=True)
        await life.reach(FAILED, generation=2)
        assert life.seen == [IN_PROGRESS, FAILED]
    assert agent_model.seen == [IN_PROGRESS, CURRENT, IN_PROGRESS, CURRENT]
    for life in lives.values():
        written = [v["status"] for v in life.versions if v["status"] != {"observedGeneration": 0}]
        assert all({c["type"] for c in status["conditions"]} >= ALL_THREE for status in written)
        assert all(status["observedGeneration"] >= 1 for status in written)


def has_conditions(life: Life) -> bool:
    return bool(life.versions and life.versions[-1]["status"].get("conditions"))
