"""A TrainJob of Kubeflow Trainer v2 (trainer.kubeflow.org/v1alpha1), on one or several nodes."""

from __future__ import annotations

from collections.abc import Sequence

from modelops.adapters.clusterjobs.container import environment, literal, resources
from modelops.adapters.clusterjobs.engine import GRACE_SECONDS, Verdict, conditions
from modelops.adapters.clusterjobs.names import QUEUE, TRAIN_JOBS, metadata
from modelops.adapters.clusterjobs.pods import moment
from modelops.adapters.clusterjobs.queue import missing_queue
from modelops.adapters.kube import KubeClient
from modelops.api.v1alpha1.cluster_hardware import TrainJobBackend
from modelops.ports import JobRequest, Json, Placement, Resource

JOB_SET = "jobset.sigs.k8s.io/jobset-name"
"""Label of the Pods; the JobSet has the TrainJob's name."""
_GROUP, _VERSION = TRAIN_JOBS.group, TRAIN_JOBS.version


class TrainJobs:
    """`Engine` of TrainJobs."""

    resource = TRAIN_JOBS
    role = "modelops-operator-trainjobs"

    async def refusal(self, kube: KubeClient, request: JobRequest, *, namespace: str) -> str:
        """A runtime or queue that is not there."""
        backend = _backend(request.placement)
        kind = backend.runtime_kind
        runtime = Resource(group=_GROUP, version=_VERSION, plural=f"{kind.lower()}s", kind=kind)
        scope = "" if kind == "ClusterTrainingRuntime" else namespace
        if await kube.get(runtime, scope, backend.runtime) is None:
            return (
                f"spec.backend.trainJob.runtime {backend.runtime}: there is no such {kind}, or Kubeflow Trainer v2 is "
                "not installed in this cluster: create it, or install that"
            )
        if backend.queue_name is None:
            return ""
        field = "spec.backend.trainJob.queueName"
        return await missing_queue(kube, namespace=namespace, queue=backend.queue_name, field=field)

    def manifest(self, request: JobRequest, placement: Placement, *, namespace: str) -> Json:
        """A TrainJob has no timeout (v2.0): its processes get one. Kueue suspends what it manages, by itself."""
        backend = _backend(placement)
        described = metadata(request, placement, namespace=namespace)
        queue = {QUEUE: backend.queue_name} if backend.queue_name else {}
        limited = ("timeout", f"--kill-after={GRACE_SECONDS}", str(request.timeout_seconds), *request.command)
        trainer = {
            "image": request.image,
            "command": [literal(word) for word in limited],
            "env": environment(request, placement),
            "numNodes": backend.num_nodes,
            "resourcesPerNode": resources(placement),
        }
        return {
            "apiVersion": f"{_GROUP}/{_VERSION}",
            "kind": "TrainJob",
            "metadata": {**described, "labels": {**described["labels"], **queue}},
            "spec": {
                "runtimeRef": {"apiGroup": _GROUP, "kind": backend.runtime_kind, "name": backend.runtime},
                # Of the JobSet, which is what Kueue manages where it does not know TrainJobs.
                "labels": {**described["labels"], **queue},
                "trainer": trainer,
            },
        }

    def selector(self, names: Sequence[str]) -> str:
        return f"{JOB_SET} in ({','.join(sorted(names))})"

    def owner(self, pod: Json) -> str:
        return str(pod["metadata"]["labels"][JOB_SET])

    def suspended(self, item: Json) -> bool:
        return bool(item["spec"].get("suspend"))

    def verdict(self, item: Json) -> Verdict | None:
        true = conditions(item)
        for kind, stage in (("Complete", "COMPLETED"), ("Failed", "ERROR")):
            if found := true.get(kind):
                words = str(found.get("message", "")) if kind == "Failed" else ""
                return Verdict(stage=stage, at=moment(found.get("lastTransitionTime")), message=words)
        return None


def _backend(placement: Placement | None) -> TrainJobBackend:
    assert placement is not None
    assert isinstance(placement.backend, TrainJobBackend)
    return placement.backend
