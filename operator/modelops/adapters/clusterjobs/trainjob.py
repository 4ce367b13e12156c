"""A TrainJob of Kubeflow Trainer v2 (trainer.kubeflow.org/v1alpha1), on one or several nodes."""

from __future__ import annotations

from collections.abc import Sequence

from modelops.adapters.clusterjobs.container import (
    container_environment,
    escape_references,
    resource_requirements,
)
from modelops.adapters.clusterjobs.job_kind import TERMINATION_GRACE_SECONDS, JobOutcome, true_conditions
from modelops.adapters.clusterjobs.kueue import missing_queue_message
from modelops.adapters.clusterjobs.names import QUEUE_LABEL, TRAIN_JOBS, object_metadata
from modelops.adapters.clusterjobs.pods import parse_time
from modelops.adapters.kube import KubeClient
from modelops.api.v1alpha1.cluster_hardware import TrainJobBackend
from modelops.ports import ClusterJobSettings, JobRequest, Json, Resource

JOB_SET = "jobset.sigs.k8s.io/jobset-name"
"""Label of the Pods. Its value is the JobSet's name, which is the TrainJob's name."""
_GROUP, _VERSION = TRAIN_JOBS.group, TRAIN_JOBS.version


class TrainJobs:
    """`JobKind` of TrainJobs."""

    resource = TRAIN_JOBS
    cluster_role = "modelops-operator-trainjobs"
    container = "node"
    """The name that Kubeflow Trainer prescribes for a runtime."""

    async def missing_prerequisite(self, kube: KubeClient, request: JobRequest, *, namespace: str) -> str:
        """Reports a training runtime or a LocalQueue that does not exist."""
        backend = _backend(request.cluster_settings)
        kind = backend.runtime_kind
        runtime = Resource(group=_GROUP, version=_VERSION, plural=f"{kind.lower()}s", kind=kind)
        scope = "" if kind == "ClusterTrainingRuntime" else namespace
        if await kube.get(runtime, scope, backend.runtime) is None:
            return (
                f"spec.backend.trainJob.runtime is {backend.runtime!r}, and there is no {kind} of that name (or "
                f"Kubeflow Trainer v2 is not installed): create the {kind}, or install Kubeflow Trainer v2"
            )
        if backend.queue_name is None:
            return ""
        field = "spec.backend.trainJob.queueName"
        return await missing_queue_message(kube, namespace=namespace, queue=backend.queue_name, field=field)

    def manifest(self, request: JobRequest, cluster_settings: ClusterJobSettings, *, namespace: str) -> Json:
        """A TrainJob. It has no timeout field (v2.0), so `timeout` runs the command. Kueue itself suspends it."""
        backend = _backend(cluster_settings)
        described = object_metadata(request, cluster_settings, namespace=namespace)
        queue = {QUEUE_LABEL: backend.queue_name} if backend.queue_name else {}
        limited = (
            "timeout",
            f"--kill-after={TERMINATION_GRACE_SECONDS}",
            str(request.timeout_seconds),
            *request.command,
        )
        trainer = {
            "image": request.image,
            "command": [escape_references(word) for word in limited],
            "env": container_environment(request, cluster_settings),
            "numNodes": backend.num_nodes,
            "resourcesPerNode": resource_requirements(cluster_settings),
        }
        return {
            "apiVersion": f"{_GROUP}/{_VERSION}",
            "kind": "TrainJob",
            "metadata": {**described, "labels": {**described["labels"], **queue}},
            "spec": {
                "runtimeRef": {"apiGroup": _GROUP, "kind": backend.runtime_kind, "name": backend.runtime},
                # Labels of the JobSet: a Kueue that does not know TrainJobs manages the JobSet.
                "labels": {**described["labels"], **queue},
                "trainer": trainer,
            },
        }

    def pod_selector(self, names: Sequence[str]) -> str:
        return f"{JOB_SET} in ({','.join(sorted(names))})"

    def job_name_of(self, pod: Json) -> str:
        return str(pod["metadata"]["labels"][JOB_SET])

    def is_suspended(self, item: Json) -> bool:
        return bool(item["spec"].get("suspend"))

    def outcome(self, item: Json) -> JobOutcome | None:
        true = true_conditions(item)
        for kind, stage in (("Complete", "COMPLETED"), ("Failed", "ERROR")):
            if found := true.get(kind):
                message = str(found.get("message", "")) if kind == "Failed" else ""
                return JobOutcome(
                    stage=stage, at=parse_time(found.get("lastTransitionTime")), message=message
                )
        return None


def _backend(cluster_settings: ClusterJobSettings | None) -> TrainJobBackend:
    assert cluster_settings is not None
    assert isinstance(cluster_settings.backend, TrainJobBackend)
    return cluster_settings.backend
