"""Training as a TrainJob, validated by the CRDs of Kubeflow Trainer 2.0.0.

The controllers of Trainer and JobSet do not run here: a test writes the status and the Pods that they would write.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.cluster import kubelet
from tests.cluster.attempt import ClusterAttempt
from tests.cluster.published import KUEUE, TRAINER, install_crds
from tests.conftest import Kubectl, apply_crds

from modelops.adapters.clusterjobs import TrainJobs
from modelops.adapters.clusterjobs.names import CONFIG_MAPS, LOCAL_QUEUES, PODS, TRAIN_JOBS
from modelops.adapters.kube import KubeClient
from modelops.api.v1alpha1.cluster_hardware import TrainJobBackend
from modelops.localcluster import LocalCluster, start_cluster
from modelops.ports import Job, JobRequest, Json, Refused


@dataclass(frozen=True)
class TrainJobAttempt(ClusterAttempt):
    """An attempt that runs as a TrainJob."""

    engine = "trainjob"
    resource = TRAIN_JOBS

    async def submit(self, **backend: Any) -> Job:
        given = {"device": "h100", "gpus": 8, "numNodes": 2, "memory": "512Gi", **backend}
        request = JobRequest(
            namespace=self.account,
            label=self.label,
            flavor="h100x8-2nodes",
            timeout_seconds=3600,
            image="example.org/trainer@sha256:" + "0" * 64,
            command=("bash", "-lc", "exec python train.py"),
            environment={"MODELOPS_RUN": "{}", "MODELOPS_PAYLOAD": "H4sI"},
            secrets={},
            cluster_settings=self.cluster_settings(
                TrainJobBackend.model_validate(given), usd_micro_per_hour=72_000_000
            ),
        )
        return await self.jobs.submit("", request)

    async def pod(self, node: int) -> Json:
        """Creates a Pod as JobSet does; the TrainJob owns it, so it is deleted with the TrainJob."""
        owner = await self.stored()
        reference = {
            "apiVersion": owner["apiVersion"],
            "kind": "TrainJob",
            "name": self.name,
            "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": True,
            "controller": True,
        }
        labels = {
            "jobset.sigs.k8s.io/jobset-name": self.name,
            "batch.kubernetes.io/job-completion-index": str(node),
        }
        metadata = {
            "name": f"{self.name}-node-0-{node}",
            "namespace": self.namespace,
            "labels": labels,
            "ownerReferences": [reference],
        }
        spec = {"containers": [{"name": "node", "image": "example.org/trainer"}], "restartPolicy": "Never"}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        return await self.kube.create(PODS, body)

    async def set_condition(self, kind: str, message: str = "") -> None:
        """Sets a condition of the TrainJob as Trainer's controller does."""
        at = kubelet.timestamp(datetime.now(UTC))
        condition = {"type": kind, "status": "True", "reason": "AllJobsCompleted", "lastTransitionTime": at}
        conditions = [{**condition, "message": message}]
        await kubelet.set_status(self.kube, TRAIN_JOBS, await self.stored(), conditions=conditions)


@pytest.fixture(scope="session")
def trainer(cluster: LocalCluster, kubectl: Kubectl) -> None:
    install_crds(cluster, kubectl, TRAINER, KUEUE)


@pytest.fixture
async def attempt(cluster: LocalCluster, namespace: str, trainer: None) -> AsyncIterator[TrainJobAttempt]:
    async with KubeClient.from_kubeconfig(cluster.kubeconfig) as kube:
        yield await TrainJobAttempt.create(kube, TrainJobs(), namespace)


async def test_a_train_job_has_its_nodes_its_runtime_and_a_timeout(attempt: TrainJobAttempt) -> None:
    job = await attempt.submit()
    assert (job.id, job.stage, job.flavor) == (attempt.name, "SCHEDULING", "h100x8-2nodes")
    spec = (await attempt.stored())["spec"]
    assert spec["runtimeRef"]["name"] == "torch-distributed"
    trainer = spec["trainer"]
    assert trainer["numNodes"] == 2
    assert trainer["resourcesPerNode"]["limits"] == {"memory": "512Gi", "nvidia.com/gpu": "8"}
    assert trainer["command"] == [
        "timeout",
        "--kill-after=30",
        "3600",
        "bash",
        "-lc",
        "exec python train.py",
    ]
    environment = {entry["name"]: entry for entry in trainer["env"]}
    assert environment["JOB_ID"]["value"] == attempt.name
    assert environment["HF_TOKEN"]["valueFrom"] == {"secretKeyRef": {"name": "tokens", "key": "hf"}}
    assert not [name for name in environment if name.startswith("PET_")]
    again = await attempt.submit()
    assert again.id == job.id
    assert len((await attempt.kube.list(TRAIN_JOBS, namespace=attempt.namespace))[0]) == 1


async def test_the_stage_of_a_train_job_follows_its_pods_and_its_condition(attempt: TrainJobAttempt) -> None:
    await attempt.submit()
    pods = [await attempt.pod(node) for node in (1, 0)]
    waiting = await attempt.inspect()
    assert (waiting.stage, waiting.running_seconds) == ("SCHEDULING", 0)
    started = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=600)
    for pod in pods:
        await kubelet.set_running(attempt.kube, pod, since=started)
    running = await attempt.inspect()
    assert (running.stage, running.started_at) == ("RUNNING", started)
    await attempt.set_condition("Complete")
    done = await attempt.inspect()
    assert (done.stage, done.ended) == ("COMPLETED", True)
    assert 600 <= done.running_seconds < 660
    assert await attempt.jobs.list_active("", attempt.account) == ()


async def test_a_failed_train_job_has_the_message_of_its_condition(attempt: TrainJobAttempt) -> None:
    await attempt.submit()
    await attempt.set_condition("Failed", "jobset failed due to one or more job failures")
    failed = await attempt.inspect()
    assert (failed.stage, failed.message) == ("ERROR", "jobset failed due to one or more job failures")


async def test_a_train_job_that_a_service_mesh_keeps_running_ends_with_the_last_of_its_nodes(
    attempt: TrainJobAttempt,
) -> None:
    await attempt.submit()
    started = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=900)
    pods = [await attempt.pod(node) for node in (0, 1)]
    for pod in pods:
        await kubelet.set_running(attempt.kube, pod, since=started)
    for pod, seconds in zip(pods, (600, 500), strict=True):
        assert (await attempt.inspect()).stage == "RUNNING"
        at = started + timedelta(seconds=seconds)
        await kubelet.set_outlived(attempt.kube, pod, 0, since=started, at=at)
    done = await attempt.inspect()
    assert (done.stage, done.ended, done.running_seconds) == ("COMPLETED", True, 600)
    await attempt.jobs.release("", attempt.account, attempt.name)
    assert await attempt.kube.get(TRAIN_JOBS, attempt.namespace, attempt.name) is None


async def test_a_cancelled_train_job_stays_visible_with_its_cost_until_it_is_settled(
    attempt: TrainJobAttempt,
) -> None:
    await attempt.submit()
    for node in (0, 1):
        pod = await attempt.pod(node)
        await kubelet.set_running(attempt.kube, pod, since=datetime.now(UTC) - timedelta(seconds=600))
    await attempt.jobs.cancel("", attempt.account, attempt.name)

    async def ended_job() -> Job | None:
        job = await attempt.inspect()
        return job if job.ended else None

    cancelled = await kubelet.wait_until(ended_job, expected="stopped")
    assert cancelled.stage == "CANCELED"
    assert 600 <= cancelled.running_seconds < 690
    assert (await attempt.kube.list(PODS, namespace=attempt.namespace))[0] == []
    await attempt.jobs.release("", attempt.account, attempt.name)

    async def is_deleted() -> bool:
        return await attempt.kube.get(TRAIN_JOBS, attempt.namespace, attempt.name) is None

    await kubelet.wait_until(is_deleted, expected="gone")


async def test_the_queue_name_is_a_label_of_the_train_job_and_of_its_pods(attempt: TrainJobAttempt) -> None:
    with pytest.raises(
        Refused, match=r"trainJob.queueName is 'gpus', and namespace \S+ has no LocalQueue of that name"
    ):
        await attempt.submit(queueName="gpus")
    queue = {
        "apiVersion": "kueue.x-k8s.io/v1beta1",
        "kind": "LocalQueue",
        "metadata": {"name": "gpus", "namespace": attempt.namespace},
        "spec": {"clusterQueue": "research"},
    }
    await attempt.kube.create(LOCAL_QUEUES, queue)
    await attempt.submit(queueName="gpus")
    made = await attempt.stored()
    for labels in (made["metadata"]["labels"], made["spec"]["labels"]):
        assert labels["kueue.x-k8s.io/queue-name"] == "gpus"


async def test_an_unknown_runtime_is_refused_before_anything_is_created(attempt: TrainJobAttempt) -> None:
    with pytest.raises(
        Refused, match=r"trainJob.runtime is 'deepspeed', and there is no ClusterTrainingRuntime"
    ):
        await attempt.submit(runtime="deepspeed")
    assert await attempt.kube.get(CONFIG_MAPS, attempt.namespace, attempt.name) is None


@pytest.fixture(scope="module")
def cluster_without_trainer() -> Iterator[LocalCluster]:
    with start_cluster() as cluster:
        apply_crds(cluster)
        yield cluster


async def test_without_kubeflow_trainer_the_submission_is_refused_and_nothing_is_created(
    cluster_without_trainer: LocalCluster,
) -> None:
    async with KubeClient.from_kubeconfig(cluster_without_trainer.kubeconfig) as kube:
        attempt = await TrainJobAttempt.create(kube, TrainJobs(), "default")
        with pytest.raises(Refused, match="Kubeflow Trainer v2 is not installed"):
            await attempt.submit()
        assert await attempt.jobs.list_active("", attempt.account) == ()
        assert await kube.get(CONFIG_MAPS, "default", attempt.name) is None
