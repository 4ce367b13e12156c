"""What the cache holds: agents' Pods cut down to what is used, and nothing that was deleted unseen."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from modelops.adapters.kube import Connection, KubeClient, Transport
from modelops.engine.cache import ObjectCache
from modelops.engine.resources import AGENT_MODELS, PODS
from modelops.localcluster import LocalCluster
from modelops.ports import Json, Resource
from modelops.runtime.following import Following, watch_name
from modelops.runtime.metrics import Metrics

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]
SAMPLE = Path(__file__).parents[2] / "config" / "samples" / "agentmodel-docs.yaml"
SELECTED = {"app.kubernetes.io/name": "docs-agent"}


@pytest.fixture
async def kube(cluster: LocalCluster) -> AsyncIterator[KubeClient]:
    async with KubeClient(Transport(Connection.from_kubeconfig(cluster.kubeconfig))) as client:
        yield client


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.01)


def pod(namespace: str, name: str, labels: Json) -> Json:
    containers = [{"name": "agent", "image": "none", "env": [{"name": "TOKEN", "value": "not-kept"}]}]
    return {
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "spec": {"containers": containers, "automountServiceAccountToken": False},
    }


async def made_of_sample(kubectl: Kubectl, kube: KubeClient, namespace: str) -> Json:
    """The sample AgentModel, which selects the Pods labelled SELECTED."""
    kubectl("apply", "-f", SAMPLE, namespace=namespace, check=True)
    (agent,), _ = await kube.list(AGENT_MODELS, namespace=namespace)
    assert agent["spec"]["config"]["workloadSelector"]["matchLabels"] == SELECTED
    return agent


async def test_the_pods_that_an_agent_model_selects_are_followed_while_it_selects_them(
    kubectl: Kubectl, kube: KubeClient, namespace: str
) -> None:
    kubectl("create", "serviceaccount", "default", namespace=namespace)
    cache = ObjectCache(monotonic=asyncio.get_running_loop().time)
    following = Following(kube, cache, Metrics(), namespaces=(namespace,))
    following.start()
    try:
        agent = await made_of_sample(kubectl, kube, namespace)
        await following.list_kinds()
        await until(lambda: not following.missing)
        await kube.create(PODS, pod(namespace, "docs-1", {**SELECTED, "x": "y"}))
        await kube.create(PODS, pod(namespace, "cicd-1", {"app.kubernetes.io/name": "cicd-agent"}))
        await until(lambda: list(cache.list(PODS)))
        (held,) = cache.list(PODS)
        assert held["metadata"]["name"] == "docs-1"
        assert held["metadata"]["uid"]
        assert "spec" not in held
        assert cache.age(watch_name(PODS, namespace, SELECTED)) < 15

        await kube.delete(AGENT_MODELS, namespace, agent["metadata"]["name"])
        await following.list_kinds()
        assert list(cache.list(PODS)) == []
        assert cache.age(watch_name(PODS, namespace, SELECTED)) == float("inf")
    finally:
        await following.close()


async def test_a_full_listing_finds_what_was_deleted_unseen_and_tells_it(
    kubectl: Kubectl, kube: KubeClient, namespace: str
) -> None:
    cache = ObjectCache(monotonic=asyncio.get_running_loop().time)
    told: list[tuple[Resource, str]] = []
    following = Following(kube, cache, Metrics(), namespaces=(namespace,))
    agent = await made_of_sample(kubectl, kube, namespace)
    name = agent["metadata"]["name"]
    try:
        await following.list_kinds()
        assert cache.get(AGENT_MODELS, namespace, name) is not None
        cache.listen(lambda resource, item, _: told.append((resource, item["metadata"]["name"])))
        await following.list_kinds()
        assert told == []
        await kube.delete(AGENT_MODELS, namespace, name)
        await following.list_kinds()
        assert cache.get(AGENT_MODELS, namespace, name) is None
        assert told == [(AGENT_MODELS, name)]
    finally:
        await following.close()
