"""The emergency stop as ConfigMaps that kubectl creates in one line: seen by their names, without a label."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable

import pytest
from tests.patience import patient

from modelops.adapters.kube import Connection, KubeClient, Transport
from modelops.engine.cache import ObjectCache
from modelops.engine.stops import StopReader
from modelops.localcluster import LocalCluster
from modelops.runtime.metrics import Metrics
from modelops.runtime.namespaces import WorkNamespaces
from modelops.runtime.watches import ClusterWatches

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
async def kube(cluster: LocalCluster) -> AsyncIterator[KubeClient]:
    async with KubeClient(Transport(Connection.from_kubeconfig(cluster.kubeconfig))) as client:
        yield client


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(patient(15)):
        while not condition():
            await asyncio.sleep(0.01)


async def test_stops_are_seen_when_they_are_set_and_when_they_are_lifted(
    kubectl: Kubectl, kube: KubeClient, namespace: str
) -> None:
    cache = ObjectCache(monotonic=asyncio.get_running_loop().time)
    watches = ClusterWatches(kube, cache, Metrics(), namespaces=WorkNamespaces((namespace,)), home=namespace)
    stops = StopReader(kube, cache, namespace)
    kubectl("create", "configmap", "agents", "--from-literal=a=b", namespace=namespace, check=True)
    watches.start()
    try:
        await until(lambda: not watches.unsynced)
        assert stops.known(namespace, None) is None
        set_it = (
            "create",
            "configmap",
            "modelops-stop",
            "--from-literal=reason=INC-7",
            "--from-literal=by=mia",
        )
        kubectl(*set_it, namespace=namespace, check=True)
        await until(lambda: stops.known(namespace, None))
        found = stops.known(namespace, None)
        assert found is not None
        assert (found.scope, found.reason, found.by) == ("namespace", "INC-7", "mia")
        kubectl("create", "configmap", "modelops-stop-all", namespace=namespace, check=True)
        await until(lambda: (stop := stops.known("elsewhere", None)) is not None and stop.scope == "all")
        kubectl("delete", "configmap", "modelops-stop", "modelops-stop-all", namespace=namespace, check=True)
        await until(lambda: stops.known(namespace, None) is None)
        # Neither watch keeps another ConfigMap.
        assert len(cache) == 0
    finally:
        await watches.close()


async def test_a_live_read_sees_a_stop_that_no_watch_has_delivered(
    kubectl: Kubectl, kube: KubeClient, namespace: str
) -> None:
    cache = ObjectCache(monotonic=asyncio.get_running_loop().time)
    stops = StopReader(kube, cache)
    kubectl("apply", "-f", "config/samples/agentmodel-docs.yaml", namespace=namespace, check=True)
    assert not await stops.forbids_raise(namespace, "docs")
    assert await stops.forbids_raise(namespace, "nobody")
    patch = '{"spec":{"stop":{"reason":"INC-7","by":"mia"}}}'
    kubectl("patch", "agentmodel", "docs", "--type=merge", "-p", patch, namespace=namespace, check=True)
    assert await stops.forbids_raise(namespace, "docs")
    patch = '{"spec":{"stop":null}}'
    kubectl("patch", "agentmodel", "docs", "--type=merge", "-p", patch, namespace=namespace, check=True)
    assert not await stops.forbids_raise(namespace, "docs")
    kubectl("create", "configmap", "modelops-stop", namespace=namespace, check=True)
    assert await stops.forbids_raise(namespace, "docs")
    assert stops.known(namespace, None) is not None
