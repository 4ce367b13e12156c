"""Of several namespaces one was deleted, and with it the operator's Role there: the others do not suffer from it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cluster.operator_process import Operator, operator
from tests.patience import patient

from modelops.api.v1alpha1.names import GROUP
from modelops.localcluster import LocalCluster

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]
RUN = {
    "apiVersion": f"{GROUP}/v1alpha1",
    "kind": "TrainingRun",
    "metadata": {"name": "docs-1"},
    "spec": {"agentModelRef": {"name": "docs"}, "method": "sft", "maxUSD": "1"},
}
REASON = ("get", "trainingruns", "docs-1", "-o", "jsonpath={.status.reason}")


def grant(kubectl: Kubectl, namespace: str) -> None:
    kubectl(
        "create",
        "rolebinding",
        "bob",
        "--clusterrole=cluster-admin",
        "--user=bob",
        namespace=namespace,
        check=True,
    )


@pytest.fixture
def other(kubectl: Kubectl) -> Iterator[str]:
    name = f"other-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name, check=True)
    yield name
    kubectl("delete", "namespace", name, "--wait=false", check=True)


@pytest.fixture
def kubeconfig(cluster: LocalCluster, namespace: str, tmp_path: Path) -> Path:
    config = json.loads(cluster.kubeconfig_for("bob").read_text())
    config["contexts"][0]["context"]["namespace"] = namespace
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    return path


async def is_worked_on(running: Operator, kubectl: Kubectl, namespace: str) -> None:
    kubectl("create", "-f", "-", input=json.dumps(RUN), namespace=namespace, check=True)
    await running.wait_until(
        lambda: kubectl(*REASON, namespace=namespace, check=True).stdout == "AgentModelNotFound"
    )


async def until_warned(running: Operator, text: str) -> None:
    async with asyncio.timeout(patient(30)):
        while text not in str((await running.wait_for_status("/readyz", 200)).get("warnings")):
            await asyncio.sleep(0.05)


async def test_an_operator_starts_without_a_namespace_that_it_may_not_read(
    kubectl: Kubectl, namespace: str, other: str, kubeconfig: Path, tmp_path: Path
) -> None:
    grant(kubectl, namespace)
    environ = {"MODELOPS_WATCH_NAMESPACES": f"{other},{namespace}"}
    async with operator(kubeconfig, tmp_path / "state", environ=environ) as running:
        await running.wait_until_ready()
        await until_warned(running, f"namespace {other}")
        await is_worked_on(running, kubectl, namespace)


async def test_a_namespace_that_is_lost_leaves_the_others_and_one_that_returns_is_worked_on_again(
    kubectl: Kubectl, namespace: str, other: str, kubeconfig: Path, tmp_path: Path
) -> None:
    grant(kubectl, namespace)
    grant(kubectl, other)
    environ = {"MODELOPS_WATCH_NAMESPACES": f"{other},{namespace}", "MODELOPS_RESYNC_SECONDS": "1"}
    async with operator(kubeconfig, tmp_path / "state", environ=environ) as running:
        await running.wait_until_ready()
        kubectl("delete", "rolebinding", "bob", namespace=other, check=True)
        await until_warned(running, f"namespace {other}")
        await is_worked_on(running, kubectl, namespace)
        grant(kubectl, other)
        # A process with a complete cache takes over: the one of a Deployment that is started again, or the standby.
        assert await running.wait_for_exit() == 1
        assert running.has_logged(f"namespace {other} can be read again")
    async with operator(kubeconfig, tmp_path / "state", environ=environ) as running:
        await running.wait_until_ready()
        await is_worked_on(running, kubectl, other)
