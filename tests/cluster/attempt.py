"""The first attempt of a TrainingRun as a job of the cluster, in a namespace that no other test uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from modelops.adapters.clusterjobs import ClusterJobs
from modelops.adapters.clusterjobs.job_kind import JobKind
from modelops.adapters.kube import KubeClient
from modelops.api.v1alpha1.cluster_hardware import KubernetesBackend, TrainJobBackend
from modelops.domain.training.naming import attempt_label
from modelops.engine.clock import SystemClock
from modelops.engine.resources import TRAINING_RUNS
from modelops.ports import ClusterJobSettings, Job, Json, Resource

TRAINING_RUN = {
    "apiVersion": "modelops.code-chef.dev/v1alpha1",
    "kind": "TrainingRun",
    "spec": {"agentModelRef": {"name": "docs"}, "baseModel": "org/base", "maxUSD": "1"},
}


@dataclass(frozen=True)
class ClusterAttempt:
    """A TrainingRun and the backend that runs it: `kubernetes` or `trainjob`, which creates objects of `resource`."""

    engine: ClassVar[str]
    resource: ClassVar[Resource]

    kube: KubeClient
    jobs: ClusterJobs
    namespace: str
    uid: str

    @classmethod
    async def create(cls, kube: KubeClient, kind: JobKind, namespace: str) -> Self:
        """Creates the TrainingRun; its job is not submitted yet."""
        body = {**TRAINING_RUN, "metadata": {"name": "docs-1", "namespace": namespace}}
        made = await kube.create(TRAINING_RUNS, body)
        return cls(kube, ClusterJobs(kube, kind, clock=SystemClock()), namespace, made["metadata"]["uid"])

    @property
    def account(self) -> str:
        return f"{self.engine}:{self.namespace}"

    @property
    def label(self) -> str:
        return attempt_label(installation="0a1b2c3d", uid=self.uid, attempt=1)

    @property
    def name(self) -> str:
        """Name of the job, as `naming.cluster_job_name` makes it."""
        return f"modelops-{self.uid.replace('-', '')[:20]}-1"

    def cluster_settings(
        self, backend: KubernetesBackend | TrainJobBackend, *, usd_micro_per_hour: int
    ) -> ClusterJobSettings:
        """The job's settings; its Hugging Face token is in key `hf` of Secret `tokens`."""
        return ClusterJobSettings(
            backend=backend,
            run_name="docs-1",
            run_uid=self.uid,
            token_secret="tokens",
            token_key="hf",
            usd_micro_per_hour=usd_micro_per_hour,
        )

    async def inspect(self) -> Job:
        """The job as the adapter reports it."""
        found = await self.jobs.inspect("", self.account, self.name)
        assert found is not None
        return found

    async def stored(self) -> Json:
        """The job's object as the API server stores it."""
        found = await self.kube.get(self.resource, self.namespace, self.name)
        assert found is not None
        return found
