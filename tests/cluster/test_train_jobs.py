"""Training as a TrainJob: what Kubeflow Trainer 2.0.0 publishes decides what is accepted.

Neither its controller nor JobSet's runs here: a test writes the status and the Pods that they would.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.cluster import kubelet
from tests.cluster.attempt import ClusterAttempt
from tests.cluster.published import KUEUE, TRAINER, install
from tests.conftest import Kubectl, apply_crds

from modelops.adapters.clusterjobs import TrainJobs
from modelops.adapters.clusterjobs.names import CONFIG_MAPS, LOCAL_QUEUES, PODS, TRAIN_JOBS
from modelops.adapters.kube import KubeClient
from modelops.api.v1alpha1.cluster_hardware import TrainJobBackend
from modelops.localcluster import LocalCluster, start_cluster
from modelops.ports import Job, JobRequest, Json, Refused


@dataclass(frozen=True)
class Here(ClusterAttempt):
    """An attempt as a TrainJob."""

    engine = "trainjob"
    resource = TRAIN_JOBS

    async def submit(self, **backend: Any) -> Job:
        given = {"device": "h100", "gpus": 8, "numNodes": 2, "memory": "512Gi", **backend}
        asked = JobRequest(
            namespace=self.account,
            label=self.label,
            flavor="h100x8-2nodes",
            timeout_seconds=3600,
            image="example.org/trainer@sha256:" + "0" * 64,
            command=("bash", "-lc", "exec python train.py"),
            environment={"MODELOPS_RUN": "{}", "MODELOPS_PAYLOAD": "H4sI"},
            secrets={},
            placement=self.placement(TrainJobBackend.model_validate(given), usd_micro_per_hour=72_000_000),
        )
        return await self.jobs.submit("", asked)

    async def pod(self, node: int) -> Json:
        """As JobSet makes it, owned so that it goes with the TrainJob."""
        owner = await self.made()
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

    async def ends(self, kind: str, message: str = "") -> None:
        """Its condition, as Trainer's controller writes it."""
        at = kubelet.written(datetime.now(UTC))
        condition = {"type": kind, "status": "True", "reason": "AllJobsCompleted", "lastTransitionTime": at}
        conditions = [{**condition, "message": message}]
        await kubelet.set_status(self.kube, TRAIN_JOBS, await self.made(), conditions=conditions)


@pytest.fixture(scope="session")
def trainer(kubectl: Kubectl) -> None:
    install(kubectl, TRAINER, KUEUE)


@pytest.fixture
async def here(cluster: LocalCluster, namespace: str, trainer: None) -> AsyncIterator[Here]:
    async with KubeClient.from_kubeconfig(cluster.kubeconfig) as kube:
        yield await Here.of_a_new_run(kube, TrainJobs(), namespace)


async def test_a_train_job_is_accepted_with_nodes_runtime_and_a_timeout_of_its_processes(here: Here) -> None:
    job = await here.submit()
    assert (job.id, job.stage, job.flavor) == (here.name, "SCHEDULING", "h100x8-2nodes")
    spec = (await here.made())["spec"]
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
    assert environment["JOB_ID"]["value"] == here.name
    assert environment["HF_TOKEN"]["valueFrom"] == {"secretKeyRef": {"name": "tokens", "key": "hf"}}
    assert not [name for name in environment if name.startswith("PET_")]
    again = await here.submit()
    assert again.id == job.id
    assert len((await here.kube.list(TRAIN_JOBS, namespace=here.namespace))[0]) == 1


async def test_a_train_job_is_followed_from_its_pods_to_its_end(here: Here) -> None:
    await here.submit()
    pods = [await here.pod(node) for node in (1, 0)]
    waiting = await here.job()
    assert (waiting.stage, waiting.running_seconds) == ("SCHEDULING", 0)
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=600)
    for pod in pods:
        await kubelet.runs(here.kube, pod, since=began)
    running = await here.job()
    assert (running.stage, running.started_at) == ("RUNNING", began)
    await here.ends("Complete")
    done = await here.job()
    assert (done.stage, done.ended) == ("COMPLETED", True)
    assert 600 <= done.running_seconds < 660
    assert await here.jobs.list_active("", here.account) == ()


async def test_a_failed_train_job_says_why(here: Here) -> None:
    await here.submit()
    await here.ends("Failed", "jobset failed due to one or more job failures")
    failed = await here.job()
    assert (failed.stage, failed.message) == ("ERROR", "jobset failed due to one or more job failures")


async def test_a_cancelled_train_job_is_seen_with_its_cost_until_it_is_booked(here: Here) -> None:
    await here.submit()
    for node in (0, 1):
        pod = await here.pod(node)
        await kubelet.runs(here.kube, pod, since=datetime.now(UTC) - timedelta(seconds=600))
    await here.jobs.cancel("", here.account, here.name)

    async def stopped() -> Job | None:
        job = await here.job()
        return job if job.ended else None

    cancelled = await kubelet.until(stopped, say="stopped")
    assert cancelled.stage == "CANCELED"
    assert 600 <= cancelled.running_seconds < 690
    assert (await here.kube.list(PODS, namespace=here.namespace))[0] == []
    await here.jobs.release("", here.account, here.name)

    async def gone() -> bool:
        return await here.kube.get(TRAIN_JOBS, here.namespace, here.name) is None

    await kubelet.until(gone, say="gone")


async def test_a_queue_is_named_to_whoever_kueue_manages(here: Here) -> None:
    with pytest.raises(
        Refused, match=r"trainJob.queueName is 'gpus', and namespace \S+ has no LocalQueue of that name"
    ):
        await here.submit(queueName="gpus")
    queue = {
        "apiVersion": "kueue.x-k8s.io/v1beta1",
        "kind": "LocalQueue",
        "metadata": {"name": "gpus", "namespace": here.namespace},
        "spec": {"clusterQueue": "research"},
    }
    await here.kube.create(LOCAL_QUEUES, queue)
    await here.submit(queueName="gpus")
    made = await here.made()
    for labels in (made["metadata"]["labels"], made["spec"]["labels"]):
        assert labels["kueue.x-k8s.io/queue-name"] == "gpus"


async def test_a_runtime_that_is_not_there_is_refused_before_anything_is_made(here: Here) -> None:
    with pytest.raises(
        Refused, match=r"trainJob.runtime is 'deepspeed', and there is no ClusterTrainingRuntime"
    ):
        await here.submit(runtime="deepspeed")
    assert await here.kube.get(CONFIG_MAPS, here.namespace, here.name) is None


@pytest.fixture(scope="module")
def without_trainer() -> Iterator[LocalCluster]:
    with start_cluster() as cluster:
        apply_crds(cluster)
        yield cluster


async def test_without_kubeflow_trainer_nothing_is_made_and_that_is_said(
    without_trainer: LocalCluster,
) -> None:
    async with KubeClient.from_kubeconfig(without_trainer.kubeconfig) as kube:
        here = await Here.of_a_new_run(kube, TrainJobs(), "default")
        with pytest.raises(Refused, match="Kubeflow Trainer v2 is not installed"):
            await here.submit()
        assert await here.jobs.list_active("", here.account) == ()
        assert await kube.get(CONFIG_MAPS, "default", here.name) is None
