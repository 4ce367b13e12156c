"""The content of the cache: the agents' Pods, reduced to the parts in use, and no deleted objects."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.patience import patient

from modelops.adapters.kube import Connection, KubeClient, Transport
from modelops.engine.cache import ObjectCache
from modelops.engine.resources import AGENT_MODELS, PODS
from modelops.localcluster import LocalCluster
from modelops.ports import Json, Resource
from modelops.runtime.metrics import Metrics
from modelops.runtime.namespaces import WorkNamespaces
from modelops.runtime.watches import ClusterWatches, watch_name

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]
SAMPLE = Path(__file__).parents[2] / "config" / "samples" / "agentmodel-docs.yaml"
SELECTED = {"app.kubernetes.io/name": "docs-agent"}


@pytest.fixture
async def kube(cluster: LocalCluster) -> AsyncIterator[KubeClient]:
    async with KubeClient(Transport(Connection.from_kubeconfig(cluster.kubeconfig))) as client:
        yield client


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(patient(15)):
        while not condition():
            await asyncio.sleep(0.01)


def pod(namespace: str, name: str, labels: Json) -> Json:
    containers = [{"name": "agent", "image": "none", "env": [{"name": "TOKEN", "value": "not-kept"}]}]
    return {
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "spec": {"containers": containers, "automountServiceAccountToken": False},
    }


async def create_sample(kubectl: Kubectl, kube: KubeClient, namespace: str) -> Json:
    """Creates the sample AgentModel, which selects the Pods with the labels SELECTED."""
    kubectl("apply", "-f", SAMPLE, namespace=namespace, check=True)
    (agent,), _ = await kube.list(AGENT_MODELS, namespace=namespace)
    assert agent["spec"]["config"]["workloadSelector"]["matchLabels"] == SELECTED
    return agent


async def test_pods_are_watched_while_an_agent_model_selects_them(
    kubectl: Kubectl, kube: KubeClient, namespace: str
) -> None:
    kubectl("create", "serviceaccount", "default", namespace=namespace)
    cache = ObjectCache(monotonic=asyncio.get_running_loop().time)
    watches = ClusterWatches(kube, cache, Metrics(), namespaces=WorkNamespaces((namespace,)))
    watches.start()
    try:
        agent = await create_sample(kubectl, kube, namespace)
        await watches.relist()
        await until(lambda: not watches.unsynced)
        await kube.create(PODS, pod(namespace, "docs-1", {**SELECTED, "x": "y"}))
        await kube.create(PODS, pod(namespace, "cicd-1", {"app.kubernetes.io/name": "cicd-agent"}))
        await until(lambda: list(cache.list(PODS)))
        (held,) = cache.list(PODS)
        assert held["metadata"]["name"] == "docs-1"
        assert held["metadata"]["uid"]
        assert "spec" not in held
        assert cache.age(watch_name(PODS, namespace, SELECTED)) < 15

        await kube.delete(AGENT_MODELS, namespace, agent["metadata"]["name"])
        await watches.relist()
        assert list(cache.list(PODS)) == []
        assert cache.age(watch_name(PODS, namespace, SELECTED)) == float("inf")
    finally:
        await watches.close()


async def test_a_full_list_finds_and_reports_a_missed_deletion(
    kubectl: Kubectl, kube: KubeClient, namespace: str
) -> None:
    cache = ObjectCache(monotonic=asyncio.get_running_loop().time)
    reported: list[tuple[Resource, str]] = []
    watches = ClusterWatches(kube, cache, Metrics(), namespaces=WorkNamespaces((namespace,)))
    agent = await create_sample(kubectl, kube, namespace)
    name = agent["metadata"]["name"]
    try:
        await watches.relist()
        assert cache.get(AGENT_MODELS, namespace, name) is not None
        cache.listen(lambda resource, item, _: reported.append((resource, item["metadata"]["name"])))
        await watches.relist()
        assert reported == []
        await kube.delete(AGENT_MODELS, namespace, name)
        await watches.relist()
        assert cache.get(AGENT_MODELS, namespace, name) is None
        assert reported == [(AGENT_MODELS, name)]
    finally:
        await watches.close()
