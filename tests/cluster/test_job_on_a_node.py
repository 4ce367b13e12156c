"""A Kubernetes Job that a kubelet runs: its user, folders, environment, log, timeout and end.

These tests need a node: MODELOPS_KUBECONFIG of a cluster that has one, and MODELOPS_TEST_IMAGE, an image that the node has or can
pull, with bash, tar, base64 and coreutils.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from tests.cluster import kubelet
from tests.cluster.attempt import ClusterAttempt
from tests.conftest import Kubectl

from modelops.adapters.clusterjobs import BatchJobs
from modelops.adapters.clusterjobs.names import JOBS
from modelops.adapters.huggingface.payload import payload_base64
from modelops.adapters.kube import KubeClient
from modelops.api.v1alpha1.cluster_hardware import KubernetesBackend
from modelops.domain.job_report import parse_reports
from modelops.localcluster import LocalCluster
from modelops.ports import Job, JobRequest

IMAGE = os.environ.get("MODELOPS_TEST_IMAGE", "")
NONCE = "n0nce"
PROMPT = "$(HF_TOKEN) costs $$5"
"""Text that Kubernetes would expand in an environment variable, unless it is escaped."""
UNPACK = 'echo "$MODELOPS_PAYLOAD" | base64 -d | tar xz && '
REPORT = (
    'test -s train.py && test "$(id -u)" = 1000 && test -w /work && test -w /dev/shm && test "$HOME" = /work && '
    'test "$HF_TOKEN" = a-token && test ! -e /var/run/secrets/kubernetes.io && '
    """echo "@@modelops:$MODELOPS_NONCE@@ {\\"v\\":1,\\"kind\\":\\"log\\",\\"t\\":1,\\"step\\":3,\\"max_steps\\":9}" && """
    'echo "$JOB_ID $MODELOPS_RUN"'
)


@dataclass(frozen=True)
class NodeAttempt(ClusterAttempt):
    """An attempt in a cluster with a node."""

    engine = "kubernetes"
    resource = JOBS

    async def submit(self, script: str, *, timeout_seconds: int = 300) -> Job:
        backend = {"device": "cpu-basic", "gpus": 0, "memory": "256Mi"}
        request = JobRequest(
            namespace=self.account,
            label=self.label,
            flavor="cpu-basic",
            timeout_seconds=timeout_seconds,
            image=IMAGE,
            command=("bash", "-lc", UNPACK + script),
            environment={
                "MODELOPS_PAYLOAD": payload_base64("trl"),
                "MODELOPS_RUN": json.dumps({"prompt": PROMPT}),
                "MODELOPS_NONCE": NONCE,
            },
            secrets={},
            cluster_settings=self.cluster_settings(
                KubernetesBackend.model_validate(backend), usd_micro_per_hour=1
            ),
        )
        return await self.jobs.submit("", request)

    async def wait_for_stage(self, job: Job, stage: str) -> Job:
        async def in_stage() -> Job | None:
            found = await self.jobs.inspect("", self.account, job.id)
            assert found is not None
            assert found.stage == stage or not found.ended, found
            return found if found.stage == stage else None

        return await kubelet.wait_until(in_stage, seconds=120, expected=stage)


@pytest.fixture
async def node(cluster: LocalCluster, namespace: str, kubectl: Kubectl) -> AsyncIterator[NodeAttempt]:
    ready = kubectl("get", "nodes", "-o", "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}")
    if "True" not in ready.stdout or not IMAGE:
        pytest.skip(
            "no node: MODELOPS_KUBECONFIG names no cluster with one, or MODELOPS_TEST_IMAGE is not set"
        )
    kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted", check=True)
    kubectl("create", "secret", "generic", "tokens", "--from-literal=hf=a-token", namespace=namespace)
    async with KubeClient.from_kubeconfig(cluster.kubeconfig) as kube:
        yield await NodeAttempt.create(kube, BatchJobs(), namespace)


async def test_a_job_runs_with_its_user_folders_and_environment_and_its_log_is_read(
    node: NodeAttempt,
) -> None:
    job = await node.submit(REPORT)
    done = await node.wait_for_stage(job, "COMPLETED")
    assert done.started_at is not None
    assert 0 <= done.running_seconds < 120
    lines = await node.jobs.tail("", node.account, job.id, 200)
    report = parse_reports(lines, NONCE)
    assert report is not None
    assert (report.step, report.max_steps) == (3, 9)
    name, _, run = lines[-1].partition(" ")
    assert (name, json.loads(run)) == (job.id, {"prompt": PROMPT})


async def test_a_failed_job_has_its_exit_code_in_the_message(node: NodeAttempt) -> None:
    failed = await node.wait_for_stage(await node.submit("exit 42"), "ERROR")
    assert failed.message == "Error, exit code 42"


async def test_a_running_job_is_cancelled_and_its_running_time_is_kept(node: NodeAttempt) -> None:
    job = await node.submit("exec sleep 600")
    running = await node.wait_for_stage(job, "RUNNING")
    await node.jobs.cancel("", node.account, job.id)
    stopped = await node.wait_for_stage(job, "CANCELED")
    assert stopped.started_at == running.started_at
    assert 30 <= stopped.running_seconds < 150
    await node.jobs.release("", node.account, job.id)

    async def is_deleted() -> bool:
        return await node.jobs.inspect("", node.account, job.id) is None

    await kubelet.wait_until(is_deleted, expected="gone")


async def test_a_job_ends_at_its_timeout(node: NodeAttempt) -> None:
    timed_out = await node.wait_for_stage(await node.submit("exec sleep 600", timeout_seconds=5), "ERROR")
    assert "DeadlineExceeded" in timed_out.message
    assert timed_out.running_seconds >= 5
