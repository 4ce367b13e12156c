"""Training as a Job of the cluster: the real API server, its Job controller and garbage collector, Kueue's CRDs.

There is no node: a test says what a kubelet would say of the Pod.
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
from tests.cluster.published import KUEUE, install
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
SECRET_WORDS = "hf_" + "never-in-an-object"
TRICKY = '{"prompt": "$(HF_TOKEN) costs $$5"}'


@dataclass(frozen=True)
class Here(ClusterAttempt):
    """An attempt as a Job."""

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
            environment={"MODELOPS_RUN": TRICKY, "MODELOPS_PAYLOAD": "H4sI", "MODELOPS_NONCE": "n"},
            secrets={"HF_TOKEN": SECRET_WORDS},
            placement=self.placement(KubernetesBackend.model_validate(given), usd_micro_per_hour=2_400_000),
        )

    async def submit(self, **backend: Any) -> Job:
        return await self.jobs.submit("", self.request(**backend))

    async def pod(self) -> Json:
        """The Pod that the Job's controller made."""
        return await kubelet.pod_of(self.kube, self.namespace, self.name)

    async def reaches(self, stage: str) -> Job:
        async def there() -> Job | None:
            job = await self.job()
            return job if job.stage == stage else None

        return await kubelet.until(there, say=stage)

    async def cancel(self) -> None:
        await self.jobs.cancel("", self.account, self.name)


@pytest.fixture
async def here(cluster: LocalCluster, namespace: str) -> AsyncIterator[Here]:
    async with KubeClient.from_kubeconfig(cluster.kubeconfig) as kube:
        yield await Here.of_a_new_run(kube, BatchJobs(), namespace)


async def test_a_job_fits_the_restricted_profile_and_holds_no_token(here: Here, kubectl: Kubectl) -> None:
    kubectl("label", "namespace", here.namespace, "pod-security.kubernetes.io/enforce=restricted", check=True)
    asked = here.request(nodeSelector={"pool": "gpu"}, tolerations=[{"key": "nvidia.com/gpu"}])
    job = await here.jobs.submit("", asked)
    assert (job.id, job.label, job.stage, job.ended) == (here.name, here.label, "SCHEDULING", False)
    pod = await here.pod()
    assert pod["metadata"]["labels"][ATTEMPT_LABEL] == here.label
    spec = pod["spec"]
    container = spec["containers"][0]
    assert container["resources"]["limits"] == {"memory": "64Gi", "nvidia.com/gpu": "2"}
    assert container["resources"]["requests"]["cpu"] == "8"
    assert spec["nodeSelector"] == {"pool": "gpu"}
    assert {"key": "nvidia.com/gpu", "operator": "Exists"} in spec["tolerations"]
    assert (spec["activeDeadlineSeconds"], spec["automountServiceAccountToken"]) == (900, False)
    environment = {entry["name"]: entry for entry in container["env"]}
    assert environment["JOB_ID"]["value"] == here.name
    assert environment["HF_TOKEN"]["valueFrom"] == {"secretKeyRef": {"name": "tokens", "key": "hf"}}
    assert environment["MODELOPS_RUN"]["value"] == '{"prompt": "$$(HF_TOKEN) costs $$$$5"}'
    shipped = await here.kube.get(CONFIG_MAPS, here.namespace, here.name)
    assert shipped is not None
    assert shipped["data"] == {"MODELOPS_PAYLOAD": "H4sI"}
    for kind in ("jobs", "pods", "configmaps", "events"):
        listed = kubectl("get", kind, "-o", "yaml", namespace=here.namespace, check=True).stdout
        assert SECRET_WORDS not in listed


async def test_an_attempt_is_made_once_however_often_it_is_submitted(here: Here) -> None:
    first = await here.submit()
    again = await here.submit()
    assert (again.id, again.label) == (first.id, first.label)
    listed = await here.jobs.list_labelled("", here.account, here.label)
    assert [job.id for job in listed] == [here.name]
    made, _ = await here.kube.list(JOBS, namespace=here.namespace)
    assert len(made) == 1


async def test_another_job_of_that_name_is_not_taken_for_the_attempt(here: Here) -> None:
    await here.submit()
    other = here.label.replace("0a1b2c3d", "ffffffff")
    with pytest.raises(
        Refused, match=f"Job {here.name} of namespace {here.namespace} belongs to something else"
    ):
        await here.submit(label=other)


async def test_its_cost_counts_from_the_moment_that_a_node_has_its_pod(here: Here) -> None:
    await here.submit()
    pod = await here.pod()
    words = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}
    await kubelet.set_status(here.kube, kubelet.PODS, pod, conditions=[unscheduled])
    waiting = await here.job()
    assert (waiting.stage, waiting.message, waiting.running_seconds) == ("SCHEDULING", words, 0)

    began = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=600)
    await kubelet.runs(here.kube, pod, since=began)
    running = await here.job()
    assert (running.stage, running.started_at) == ("RUNNING", began)
    assert 600 <= running.running_seconds < 660
    assert [job.id for job in await here.jobs.list_active("", here.account)] == [here.name]

    await kubelet.exits(here.kube, pod, 0, at=datetime.now(UTC))
    done = await here.reaches("COMPLETED")
    assert done.ended
    assert 600 <= done.running_seconds < 660
    assert (done.flavor, done.usd_micro_per_hour) == ("l40sx2", 2_400_000)
    assert await here.jobs.list_active("", here.account) == ()


async def test_a_failed_pod_ends_the_job_in_its_own_words(here: Here) -> None:
    await here.submit()
    pod = await here.pod()
    await kubelet.runs(here.kube, pod, since=datetime.now(UTC))
    await kubelet.exits(here.kube, pod, 137, at=datetime.now(UTC), reason="OOMKilled")
    failed = await here.reaches("ERROR")
    assert failed.message == "OOMKilled, exit code 137"


async def test_a_log_that_cannot_be_had_is_empty_or_refused(here: Here, kubectl: Kubectl) -> None:
    account = here.account
    assert await here.jobs.tail("", account, here.name, 200) == ()
    await here.submit()
    pod = await here.pod()
    assert await here.jobs.tail("", account, here.name, 200) == ()
    target = {"apiVersion": "v1", "kind": "Node", "name": "nowhere"}
    named = {"name": pod["metadata"]["name"]}
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": named, "target": target}
    path = f"/api/v1/namespaces/{here.namespace}/pods/{named['name']}/binding"
    await here.kube.transport.call("create", path, plural="pods", body=binding)
    with pytest.raises(Refused, match="nowhere"):
        await here.jobs.tail("", account, here.name, 200)
    kubectl("delete", "pods", "--all", "--force", "--grace-period=0", namespace=here.namespace, check=True)


async def test_a_cancelled_job_is_seen_with_its_cost_until_it_is_booked(here: Here) -> None:
    await here.submit()
    pod = await here.pod()
    await kubelet.runs(here.kube, pod, since=datetime.now(UTC) - timedelta(seconds=600))
    for _ in range(2):
        await here.cancel()
    cancelled = await here.reaches("CANCELED")
    assert 600 <= cancelled.running_seconds < 690
    assert (await here.kube.list(kubelet.PODS, namespace=here.namespace))[0] == []
    await here.jobs.release("", here.account, here.name)

    async def gone() -> bool:
        return await here.jobs.inspect("", here.account, here.name) is None

    await kubelet.until(gone, say="gone")
    await here.jobs.release("", here.account, here.name)
    await here.cancel()


async def test_a_job_that_never_had_a_node_costs_nothing_when_it_is_cancelled(here: Here) -> None:
    await here.submit()
    await here.pod()
    await here.cancel()
    cancelled = await here.reaches("CANCELED")
    assert (cancelled.running_seconds, cancelled.started_at) == (0, None)


async def test_a_job_that_ended_is_not_deleted_by_a_late_cancel(here: Here) -> None:
    await here.submit()
    pod = await here.pod()
    await kubelet.exits(here.kube, pod, 0, at=datetime.now(UTC))
    await here.reaches("COMPLETED")
    await here.cancel()
    found = await here.made()
    assert "deletionTimestamp" not in found["metadata"]
    assert COST_FINALIZER not in found["metadata"].get("finalizers", ())


async def test_what_is_made_for_a_run_goes_with_it(here: Here) -> None:
    await here.submit()
    await here.kube.delete(TRAINING_RUNS, here.namespace, "docs-1")

    async def nothing() -> bool:
        left = [await here.kube.get(resource, here.namespace, here.name) for resource in (JOBS, CONFIG_MAPS)]
        return left == [None, None]

    await kubelet.until(nothing, say="collected")


async def test_the_operator_needs_its_role_and_that_is_enough(
    cluster: LocalCluster, here: Here, kubectl: Kubectl
) -> None:
    async with KubeClient.from_kubeconfig(cluster.kubeconfig_for("operator")) as own:
        jobs = ClusterJobs(own, BatchJobs(), clock=SystemClock())
        with pytest.raises(
            Refused, match=r"forbidden.*bind ClusterRole modelops-operator-jobs of config/rbac"
        ):
            await jobs.submit("", here.request())
        assert (await here.kube.list(JOBS, namespace=here.namespace))[0] == []

        kubectl("apply", "-f", str(ROLES), check=True)
        for role in ("modelops-operator-jobs", "modelops-test-record"):
            if role.endswith("record"):
                rights = ("--verb=create", "--resource=configmaps")
                kubectl("create", "role", role, *rights, namespace=here.namespace, check=True)
            kind = "role" if role.endswith("record") else "clusterrole"
            bound = ("create", "rolebinding", role, f"--{kind}={role}", "--user=operator")
            kubectl(*bound, namespace=here.namespace, check=True)
        await jobs.submit("", here.request())
        await here.pod()
        assert [job.id for job in await jobs.list_active("", here.account)] == [here.name]
        assert await jobs.tail("", here.account, here.name, 200) == ()
        await jobs.cancel("", here.account, here.name)
        await here.reaches("CANCELED")
        await jobs.release("", here.account, here.name)


# Kueue ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def kueue(kubectl: Kubectl) -> None:
    install(kubectl, KUEUE)


def local_queue(namespace: str) -> Json:
    return {
        "apiVersion": "kueue.x-k8s.io/v1beta1",
        "kind": "LocalQueue",
        "metadata": {"name": "gpus", "namespace": namespace},
        "spec": {"clusterQueue": "research"},
    }


def workload(namespace: str, job: Json) -> Json:
    """As Kueue makes it for a Job."""
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
async def test_a_queue_that_is_not_there_is_refused_before_anything_is_made(here: Here) -> None:
    with pytest.raises(
        Refused, match=r"kubernetes.queueName is 'gpus', and namespace \S+ has no LocalQueue of that name"
    ):
        await here.submit(queueName="gpus")
    assert (await here.kube.list(JOBS, namespace=here.namespace))[0] == []


@pytest.mark.usefixtures("kueue")
async def test_a_queued_job_waits_suspended_says_why_and_bills_from_its_admission(here: Here) -> None:
    await here.kube.create(LOCAL_QUEUES, local_queue(here.namespace))
    await here.submit(queueName="gpus")
    made = await here.made()
    assert made["spec"]["suspend"] is True
    assert made["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
    queued = await here.job()
    assert (queued.stage, queued.message) == ("SCHEDULING", "the job waits in Kueue's LocalQueue gpus")
    words = "couldn't assign flavors to pod set main: insufficient unused quota for nvidia.com/gpu"
    pending = {
        "type": "QuotaReserved",
        "status": "False",
        "reason": "Pending",
        "message": words,
        "lastTransitionTime": kubelet.written(datetime.now(UTC)),
    }
    held = await here.kube.create(WORKLOADS, workload(here.namespace, made))
    await kubelet.set_status(here.kube, WORKLOADS, held, conditions=[pending])
    (queued,) = await here.jobs.list_active("", here.account)
    assert queued.message == f"the job waits in Kueue's LocalQueue gpus: {words}"

    version = (await here.made())["metadata"]["resourceVersion"]
    admitted = {"metadata": {"resourceVersion": version}, "spec": {"suspend": False}}
    await here.kube.patch(JOBS, here.namespace, here.name, admitted)
    pod = await here.pod()
    await kubelet.runs(here.kube, pod, since=datetime.now(UTC) - timedelta(seconds=60))
    running = await here.job()
    assert running.stage == "RUNNING"
    assert 60 <= running.running_seconds < 120


@pytest.mark.usefixtures("kueue")
async def test_a_job_that_waits_in_its_queue_is_cancelled_although_it_cannot_start(here: Here) -> None:
    await here.kube.create(LOCAL_QUEUES, local_queue(here.namespace))
    await here.submit(queueName="gpus")
    await here.cancel()
    cancelled = await here.reaches("CANCELED")
    assert (cancelled.running_seconds, cancelled.usd_micro_per_hour) == (0, 2_400_000)
