"""A CRD that is deleted and applied again while the operator leads. It needs an API server that no other test uses."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.operator_process import operator
from tests.conftest import CRDS, apply_crds

from modelops.api.v1alpha1.names import GROUP
from modelops.localcluster import LocalCluster, open_cluster

RUN = f"""
apiVersion: {GROUP}/v1alpha1
kind: TrainingRun
metadata: {{name: docs-1, namespace: default}}
spec: {{agentModelRef: {{name: docs}}, method: sft, maxUSD: "1"}}
"""


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    environ = {key: value for key, value in os.environ.items() if key != "MODELOPS_KUBECONFIG"}
    cluster = open_cluster(tmp_path / "own-cluster", environ=environ)
    try:
        apply_crds(cluster)
        yield cluster
    finally:
        cluster.stop()


def kubectl(cluster: LocalCluster, *arguments: str | Path, stdin: str = "") -> str:
    command = [str(cluster.kubectl), "--kubeconfig", str(cluster.kubeconfig), *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_watch_whose_crd_was_deleted_ends_readiness_and_is_started_again_when_the_crd_is_back(
    own_cluster: LocalCluster, tmp_path: Path
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(own_cluster.kubeconfig.read_text())
    environ = {"MODELOPS_NAMESPACE": "default", "MODELOPS_WATCH_NAMESPACES": ""}
    async with operator(kubeconfig, tmp_path / "state", environ=environ) as running:
        await running.wait_until_ready()
        kubectl(own_cluster, "delete", "crd", f"trainingruns.{GROUP}")
        answer = await running.wait_for_status("/readyz", 503)
        assert answer["phase"] == "leading"
        assert [text for text in answer["missing"] if text.startswith("kopf's watches")]

        kubectl(own_cluster, "apply", "--server-side", "-f", CRDS)
        await running.wait_for_status("/readyz", 200)
        kubectl(own_cluster, "create", "-f", "-", stdin=RUN)
        reason = ("get", "trainingruns", "docs-1", "-n", "default", "-o", "jsonpath={.status.reason}")
        await running.wait_until(lambda: kubectl(own_cluster, *reason) == "AgentModelNotFound")


async def test_a_newer_and_an_older_crd_are_said_with_the_fields_that_get_lost(
    own_cluster: LocalCluster, tmp_path: Path
) -> None:
    """Such as after `helm rollback`, or where only one of operator and CRDs was upgraded. Everything else goes on."""
    spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties"
    newer = f'[{{"op": "add", "path": "{spec}/mostTokens", "value": {{"type": "integer"}}}}]'
    older = f'[{{"op": "remove", "path": "{spec}/ttlSecondsAfterFinished"}}]'
    kubectl(own_cluster, "patch", "crd", f"rollouts.{GROUP}", "--type=json", "-p", newer)
    kubectl(own_cluster, "patch", "crd", f"trainingruns.{GROUP}", "--type=json", "-p", older)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(own_cluster.kubeconfig.read_text())
    environ = {"MODELOPS_NAMESPACE": "default", "MODELOPS_WATCH_NAMESPACES": ""}
    async with operator(kubeconfig, tmp_path / "state", environ=environ) as running:
        await running.wait_until_ready()
        answer = await running.wait_for_status("/readyz", 200)
    older_crd, newer_crd = sorted(answer["warnings"], reverse=True)
    assert f"trainingruns.{GROUP} is older than this operator" in older_crd
    assert "spec.ttlSecondsAfterFinished" in older_crd
    assert f"rollouts.{GROUP} is newer than this operator" in newer_crd
    assert "spec.mostTokens" in newer_crd
