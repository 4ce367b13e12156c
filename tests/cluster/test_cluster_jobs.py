"""Training as a Kubernetes Job: the real API server, its Job controller and garbage collector, and Kueue's CRDs.

The cluster has no node: a test writes the Pod's status as a kubelet would.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.cluster import kubelet
from tests.cluster.attempt import ClusterAttempt
from tests.cluster.policies import apply_for_all
from tests.cluster.published import KUEUE, install_crds
from tests.conftest import Kubectl

from modelops.adapters.clusterjobs import BatchJobs, ClusterJobs
from modelops.adapters.clusterjobs.names import (
    ATTEMPT_LABEL,
    CONFIG_MAPS,
    COST_FINALIZER,
    JOBS,
    LOCAL_QUEUES,
    WORKLOADS,
)
from modelops.adapters.kube import KubeClient
from modelops.api.v1alpha1.cluster_hardware import KubernetesBackend
from modelops.engine.clock import SystemClock
from modelops.engine.resources import TRAINING_RUNS
from modelops.localcluster import LocalCluster
from modelops.ports import Job, JobRequest, Json, Refused

ROLES = Path(__file__).parents[2] / "config" / "rbac" / "own-gpus.yaml"
SECRET_VALUE = "hf_" + "never-in-an-object"
PROMPT_WITH_REFERENCES = '{"prompt": "$(HF_TOKEN) costs $$5"}'


@dataclass(frozen=True)
class BatchAttempt(ClusterAttempt):
    """An attempt that runs as a Job."""

    engine = "kubernetes"
    resource = JOBS

    def request(self, *, label: str = "", **backend: Any) -> JobRequest:
        given = {"device": "l40s", "gpus": 2, "cpu": "8", "memory": "64Gi", **backend}
        return JobRequest(
            namespace=self.account,
            label=label or self.label,
            flavor="l40sx2",
            timeout_seconds=900,
            image="example.org/trainer@sha256:" + "0" * 64,
            command=("bash", "-lc", 'echo "$MODELOPS_PAYLOAD" | base64 -d | tar xz && exec python train.py'),
            environment={
                "MODELOPS_RUN": PROMPT_WITH_REFERENCES,
                "MODELOPS_PAYLOAD": "H4sI",
                "MODELOPS_NONCE": "n",
            },
            secrets={"HF_TOKEN": SECRET_VALUE},
            cluster_settings=self.cluster_settings(
                KubernetesBackend.model_validate(given), usd_micro_per_hour=2_400_000
            ),
        )

    async def submit(self, **backend: Any) -> Job:
        return await self.jobs.submit("", self.request(**backend))

    async def pod(self) -> Json:
        """Waits for the Pod of the Job; returns it."""
        return await kubelet.wait_for_pod(self.kube, self.namespace, self.name)

    async def wait_for_stage(self, stage: str) -> Job:
        async def in_stage() -> Job | None:
            job = await self.inspect()
            return job if job.stage == stage else None

        return await kubelet.wait_until(in_stage, expected=stage)

    async def cancel(self) -> None:
        await self.jobs.cancel("", self.account, self.name)


@pytest.fixture
async def attempt(cluster: LocalCluster, namespace: str) -> AsyncIterator[BatchAttempt]:
    async with KubeClient.from_kubeconfig(cluster.kubeconfig) as kube:
        yield await BatchAttempt.create(kube, BatchJobs(), namespace)


async def test_a_job_fits_the_restricted_profile_and_contains_no_token(
    attempt: BatchAttempt, kubectl: Kubectl
) -> None:
    kubectl(
        "label", "namespace", attempt.namespace, "pod-security.kubernetes.io/enforce=restricted", check=True
    )
    request = attempt.request(nodeSelector={"pool": "gpu"}, tolerations=[{"key": "nvidia.com/gpu"}])
    job = await attempt.jobs.submit("", request)
    assert (job.id, job.label, job.stage, job.ended) == (attempt.name, attempt.label, "SCHEDULING", False)
    pod = await attempt.pod()
    assert pod["metadata"]["labels"][ATTEMPT_LABEL] == attempt.label
    spec = pod["spec"]
    container = spec["containers"][0]
    assert container["resources"]["limits"] == {"memory": "64Gi", "nvidia.com/gpu": "2"}
    assert container["resources"]["requests"]["cpu"] == "8"
    assert spec["nodeSelector"] == {"pool": "gpu"}
    assert {"key": "nvidia.com/gpu", "operator": "Exists"} in spec["tolerations"]
    assert (spec["activeDeadlineSeconds"], spec["automountServiceAccountToken"]) == (900, False)
    environment = {entry["name"]: entry for entry in container["env"]}
    assert environment["JOB_ID"]["value"] == attempt.name
    assert environment["HF_TOKEN"]["valueFrom"] == {"secretKeyRef": {"name": "tokens", "key": "hf"}}
    assert environment["MODELOPS_RUN"]["value"] == '{"prompt": "$$(HF_TOKEN) costs $$$$5"}'
    shipped = await attempt.kube.get(CONFIG_MAPS, attempt.namespace, attempt.name)
    assert shipped is not None
    assert shipped["data"] == {"MODELOPS_PAYLOAD": "H4sI"}
    for kind in ("jobs", "pods", "configmaps", "events"):
        listed = kubectl("get", kind, "-o", "yaml", namespace=attempt.namespace, check=True).stdout
        assert SECRET_VALUE not in listed


async def test_an_attempt_that_is_submitted_twice_has_one_job(attempt: BatchAttempt) -> None:
    first = await attempt.submit()
    again = await attempt.submit()
    assert (again.id, again.label) == (first.id, first.label)
    listed = await attempt.jobs.list_labelled("", attempt.account, attempt.label)
    assert [job.id for job in listed] == [attempt.name]
    made, _ = await attempt.kube.list(JOBS, namespace=attempt.namespace)
    assert len(made) == 1


async def test_a_job_of_another_installation_with_that_name_is_refused(attempt: BatchAttempt) -> None:
    await attempt.submit()
    other = attempt.label.replace("0a1b2c3d", "ffffffff")
    with pytest.raises(
        Refused, match=f"Job {attempt.name} of namespace {attempt.namespace} belongs to something else"
    ):
        await attempt.submit(label=other)


async def test_the_cost_counts_from_the_time_that_a_node_runs_the_pod(attempt: BatchAttempt) -> None:
    await attempt.submit()
    pod = await attempt.pod()
    words = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}
    await kubelet.set_status(attempt.kube, kubelet.PODS, pod, conditions=[unscheduled])
    waiting = await attempt.inspect()
    assert (waiting.stage, waiting.message, waiting.running_seconds) == ("SCHEDULING", words, 0)

    started = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=600)
    await kubelet.set_running(attempt.kube, pod, since=started)
    running = await attempt.inspect()
    assert (running.stage, running.started_at) == ("RUNNING", started)
    assert 600 <= running.running_seconds < 660
    assert [job.id for job in await attempt.jobs.list_active("", attempt.account)] == [attempt.name]

    await kubelet.set_exited(attempt.kube, pod, 0, at=datetime.now(UTC))
    done = await attempt.wait_for_stage("COMPLETED")
    assert done.ended
    assert 600 <= done.running_seconds < 660
    assert (done.flavor, done.usd_micro_per_hour) == ("l40sx2", 2_400_000)
    assert await attempt.jobs.list_active("", attempt.account) == ()


async def test_a_failed_pod_gives_the_job_its_reason_and_exit_code(attempt: BatchAttempt) -> None:
    await attempt.submit()
    pod = await attempt.pod()
    await kubelet.set_running(attempt.kube, pod, since=datetime.now(UTC))
    await kubelet.set_exited(attempt.kube, pod, 137, at=datetime.now(UTC), reason="OOMKilled")
    failed = await attempt.wait_for_stage("ERROR")
    assert failed.message == "OOMKilled, exit code 137"


async def test_a_log_is_empty_before_a_node_has_the_pod_and_refused_where_the_node_is_unknown(
    attempt: BatchAttempt, kubectl: Kubectl
) -> None:
    account = attempt.account
    assert await attempt.jobs.tail("", account, attempt.name, 200) == ()
    await attempt.submit()
    pod = await attempt.pod()
    assert await attempt.jobs.tail("", account, attempt.name, 200) == ()
    target = {"apiVersion": "v1", "kind": "Node", "name": "nowhere"}
    named = {"name": pod["metadata"]["name"]}
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": named, "target": target}
    path = f"/api/v1/namespaces/{attempt.namespace}/pods/{named['name']}/binding"
    await attempt.kube.transport.call("create", path, plural="pods", body=binding)
    with pytest.raises(Refused, match="nowhere"):
        await attempt.jobs.tail("", account, attempt.name, 200)
    kubectl("delete", "pods", "--all", "--force", "--grace-period=0", namespace=attempt.namespace, check=True)


async def test_a_cancelled_job_stays_visible_with_its_cost_until_it_is_settled(
    attempt: BatchAttempt,
) -> None:
    await attempt.submit()
    pod = await attempt.pod()
    await kubelet.set_running(attempt.kube, pod, since=datetime.now(UTC) - timedelta(seconds=600))
    for _ in range(2):
        await attempt.cancel()
    cancelled = await attempt.wait_for_stage("CANCELED")
    assert 600 <= cancelled.running_seconds < 690
    assert (await attempt.kube.list(kubelet.PODS, namespace=attempt.namespace))[0] == []
    await attempt.jobs.release("", attempt.account, attempt.name)

    async def is_deleted() -> bool:
        return await attempt.jobs.inspect("", attempt.account, attempt.name) is None

    await kubelet.wait_until(is_deleted, expected="gone")
    await attempt.jobs.release("", attempt.account, attempt.name)
    await attempt.cancel()


async def test_a_cancelled_job_that_never_had_a_node_costs_nothing(attempt: BatchAttempt) -> None:
    await attempt.submit()
    await attempt.pod()
    await attempt.cancel()
    cancelled = await attempt.wait_for_stage("CANCELED")
    assert (cancelled.running_seconds, cancelled.started_at) == (0, None)


async def test_a_late_cancel_does_not_delete_a_job_that_has_ended(attempt: BatchAttempt) -> None:
    await attempt.submit()
    pod = await attempt.pod()
    await kubelet.set_exited(attempt.kube, pod, 0, at=datetime.now(UTC))
    await attempt.wait_for_stage("COMPLETED")
    await attempt.cancel()
    found = await attempt.stored()
    assert "deletionTimestamp" not in found["metadata"]
    assert COST_FINALIZER not in found["metadata"].get("finalizers", ())


@pytest.mark.parametrize(("code", "stage"), [(0, "COMPLETED"), (1, "ERROR")])
async def test_a_job_that_a_service_mesh_keeps_running_ends_and_gives_up_its_gpus_when_it_is_booked(
    attempt: BatchAttempt, code: int, stage: str
) -> None:
    await attempt.submit()
    pod = await attempt.pod()
    started = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=900)
    await kubelet.set_running(attempt.kube, pod, since=started)
    await attempt.jobs.release("", attempt.account, attempt.name)
    assert (await attempt.inspect()).stage == "RUNNING"
    at = started + timedelta(seconds=600)
    await kubelet.set_outlived(attempt.kube, pod, code, since=started, at=at)
    ended = await attempt.wait_for_stage(stage)
    assert (ended.ended, ended.running_seconds, ended.finished_at) == (True, 600, at)
    assert await attempt.jobs.list_active("", attempt.account) == ()
    await attempt.jobs.release("", attempt.account, attempt.name)

    async def pods_are_deleted() -> bool:
        return (await attempt.kube.list(kubelet.PODS, namespace=attempt.namespace))[0] == []

    await kubelet.wait_until(pods_are_deleted, expected="no Pods")
    assert await attempt.jobs.inspect("", attempt.account, attempt.name) is None


async def test_the_user_of_the_pods_is_what_the_installation_says(
    cluster: LocalCluster, namespace: str, kubectl: Kubectl
) -> None:
    """On OpenShift no user is named; what the restricted profile needs is there in any case."""
    kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted", check=True)
    needed = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    async with KubeClient.from_kubeconfig(cluster.kubeconfig) as kube:
        attempt = await BatchAttempt.create(kube, BatchJobs({"runAsNonRoot": False}), namespace)
        await attempt.submit()
        assert (await attempt.pod())["spec"]["securityContext"] == needed


async def test_deleting_the_run_deletes_its_job_and_config_map(attempt: BatchAttempt) -> None:
    await attempt.submit()
    await attempt.kube.delete(TRAINING_RUNS, attempt.namespace, "docs-1")

    async def all_deleted() -> bool:
        left = [
            await attempt.kube.get(resource, attempt.namespace, attempt.name)
            for resource in (JOBS, CONFIG_MAPS)
        ]
        return left == [None, None]

    await kubelet.wait_until(all_deleted, expected="collected")


async def test_the_operator_needs_only_its_jobs_role(
    cluster: LocalCluster, attempt: BatchAttempt, kubectl: Kubectl
) -> None:
    async with KubeClient.from_kubeconfig(cluster.kubeconfig_for("operator")) as operator_client:
        jobs = ClusterJobs(operator_client, BatchJobs(), clock=SystemClock())
        with pytest.raises(
            Refused, match=r"forbidden.*bind ClusterRole modelops-operator-jobs of config/rbac"
        ):
            await jobs.submit("", attempt.request())
        assert (await attempt.kube.list(JOBS, namespace=attempt.namespace))[0] == []

        apply_for_all(kubectl, "-f", str(ROLES))
        for role in ("modelops-operator-jobs", "modelops-test-record"):
            if role.endswith("record"):
                rights = ("--verb=create", "--resource=configmaps")
                kubectl("create", "role", role, *rights, namespace=attempt.namespace, check=True)
            kind = "role" if role.endswith("record") else "clusterrole"
            binding = ("create", "rolebinding", role, f"--{kind}={role}", "--user=operator")
            kubectl(*binding, namespace=attempt.namespace, check=True)
        await jobs.submit("", attempt.request())
        await attempt.pod()
        assert [job.id for job in await jobs.list_active("", attempt.account)] == [attempt.name]
        assert await jobs.tail("", attempt.account, attempt.name, 200) == ()
        await jobs.cancel("", attempt.account, attempt.name)
        await attempt.wait_for_stage("CANCELED")
        await jobs.release("", attempt.account, attempt.name)


# Kueue ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def kueue(cluster: LocalCluster, kubectl: Kubectl) -> None:
    install_crds(cluster, kubectl, KUEUE)


def local_queue(namespace: str) -> Json:
    return {
        "apiVersion": "kueue.x-k8s.io/v1beta1",
        "kind": "LocalQueue",
        "metadata": {"name": "gpus", "namespace": namespace},
        "spec": {"clusterQueue": "research"},
    }


def workload(namespace: str, job: Json) -> Json:
    """The Workload that Kueue creates for a Job."""
    metadata = job["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "apiVersion": "kueue.x-k8s.io/v1beta1",
        "kind": "Workload",
        "metadata": {
            "name": f"job-{metadata['name']}",
            "namespace": namespace,
            "labels": {"kueue.x-k8s.io/job-uid": metadata["uid"]},
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
        },
        "spec": {
            "queueName": "gpus",
            "podSets": [{"name": "main", "count": 1, "template": job["spec"]["template"]}],
        },
    }


@pytest.mark.usefixtures("kueue")
async def test_an_unknown_queue_is_refused_before_a_job_is_created(attempt: BatchAttempt) -> None:
    with pytest.raises(
        Refused, match=r"kubernetes.queueName is 'gpus', and namespace \S+ has no LocalQueue of that name"
    ):
        await attempt.submit(queueName="gpus")
    assert (await attempt.kube.list(JOBS, namespace=attempt.namespace))[0] == []


@pytest.mark.usefixtures("kueue")
async def test_a_queued_job_is_suspended_with_kueues_message_and_bills_from_its_admission(
    attempt: BatchAttempt,
) -> None:
    await attempt.kube.create(LOCAL_QUEUES, local_queue(attempt.namespace))
    await attempt.submit(queueName="gpus")
    made = await attempt.stored()
    assert made["spec"]["suspend"] is True
    assert made["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
    queued = await attempt.inspect()
    assert (queued.stage, queued.message) == ("SCHEDULING", "the job waits in Kueue's LocalQueue gpus")
    words = "couldn't assign flavors to pod set main: insufficient unused quota for nvidia.com/gpu"
    pending = {
        "type": "QuotaReserved",
        "status": "False",
        "reason": "Pending",
        "message": words,
        "lastTransitionTime": kubelet.timestamp(datetime.now(UTC)),
    }
    created_workload = await attempt.kube.create(WORKLOADS, workload(attempt.namespace, made))
    await kubelet.set_status(attempt.kube, WORKLOADS, created_workload, conditions=[pending])
    (queued,) = await attempt.jobs.list_active("", attempt.account)
    assert queued.message == f"the job waits in Kueue's LocalQueue gpus: {words}"

    version = (await attempt.stored())["metadata"]["resourceVersion"]
    admitted = {"metadata": {"resourceVersion": version}, "spec": {"suspend": False}}
    await attempt.kube.patch(JOBS, attempt.namespace, attempt.name, admitted)
    pod = await attempt.pod()
    await kubelet.set_running(attempt.kube, pod, since=datetime.now(UTC) - timedelta(seconds=60))
    running = await attempt.inspect()
    assert running.stage == "RUNNING"
    assert 60 <= running.running_seconds < 120


@pytest.mark.usefixtures("kueue")
async def test_a_job_that_waits_in_its_queue_can_be_cancelled(attempt: BatchAttempt) -> None:
    await attempt.kube.create(LOCAL_QUEUES, local_queue(attempt.namespace))
    await attempt.submit(queueName="gpus")
    await attempt.cancel()
    cancelled = await attempt.wait_for_stage("CANCELED")
    assert (cancelled.running_seconds, cancelled.usd_micro_per_hour) == (0, 2_400_000)
