"""A batch/v1 Job with one Pod on one node; Kueue decides when it starts where a queue is named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelops.adapters.clusterjobs.container import environment, literal, resources
from modelops.adapters.clusterjobs.engine import GRACE_SECONDS, Verdict, conditions
from modelops.adapters.clusterjobs.names import ATTEMPT, JOBS, QUEUE, metadata
from modelops.adapters.clusterjobs.pods import moment
from modelops.adapters.clusterjobs.queue import missing_queue
from modelops.adapters.kube import KubeClient
from modelops.api.v1alpha1.cluster_hardware import KubernetesBackend
from modelops.ports import JobRequest, Json, Placement

USER = 1000
JOB_NAME = "batch.kubernetes.io/job-name"


class BatchJobs:
    """`Engine` of Jobs."""

    resource = JOBS
    role = "modelops-operator-jobs"

    async def refusal(self, kube: KubeClient, request: JobRequest, *, namespace: str) -> str:
        """A queue that is not there."""
        queue = request.placement.backend.queue_name if request.placement else None
        if queue is None:
            return ""
        field = "spec.backend.kubernetes.queueName"
        return await missing_queue(kube, namespace=namespace, queue=queue, field=field)

    def manifest(self, request: JobRequest, placement: Placement, *, namespace: str) -> Json:
        """One try and no second one: what a failure means is for the operator to judge.

        The timeout is the Pod's, not the Job's: it counts from the moment that a node has taken it.
        """
        backend = placement.backend
        assert isinstance(backend, KubernetesBackend)
        described = metadata(request, placement, namespace=namespace)
        queue = {QUEUE: backend.queue_name} if backend.queue_name else {}
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {**described, "labels": {**described["labels"], **queue}},
            "spec": {
                "backoffLimit": 0,
                "completions": 1,
                "parallelism": 1,
                "suspend": backend.queue_name is not None,
                "template": {
                    "metadata": {"labels": described["labels"]},
                    "spec": _pod(request, placement, backend),
                },
            },
        }

    def selector(self, names: Sequence[str]) -> str:
        return f"{ATTEMPT},{JOB_NAME} in ({','.join(sorted(names))})"

    def owner(self, pod: Json) -> str:
        return str(pod["metadata"]["labels"][JOB_NAME])

    def suspended(self, item: Json) -> bool:
        return bool(item["spec"].get("suspend"))

    def verdict(self, item: Json) -> Verdict | None:
        true = conditions(item)
        if "Complete" in true:
            at = moment(item["status"].get("completionTime") or true["Complete"].get("lastTransitionTime"))
            return Verdict(stage="COMPLETED", at=at)
        if failed := true.get("Failed"):
            # That its only try failed says nothing that its Pod does not say better.
            words = "" if failed.get("reason") == "BackoffLimitExceeded" else str(failed.get("message", ""))
            return Verdict(stage="ERROR", at=moment(failed.get("lastTransitionTime")), message=words)
        return None


def _pod(request: JobRequest, placement: Placement, backend: KubernetesBackend) -> Json:
    """As restricted as Kubernetes' own profile asks; it writes in `/work`, its home, and nowhere else need be."""
    optional: dict[str, Any] = {
        "nodeSelector": backend.node_selector,
        "tolerations": [toleration.wire() for toleration in backend.tolerations],
        "runtimeClassName": backend.runtime_class_name,
    }
    return {
        **{key: value for key, value in optional.items() if value},
        "restartPolicy": "Never",
        "activeDeadlineSeconds": request.timeout_seconds,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "trainer",
                "image": request.image,
                "command": [literal(word) for word in request.command],
                "workingDir": "/work",
                "env": [*environment(request, placement), {"name": "HOME", "value": "/work"}],
                "resources": resources(placement),
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [
                    {"name": "work", "mountPath": "/work"},
                    {"name": "shared-memory", "mountPath": "/dev/shm"},
                ],
            }
        ],
        "volumes": [
            {"name": "work", "emptyDir": {}},
            # Processes of several GPUs exchange data there, and the default is 64 MB.
            {"name": "shared-memory", "emptyDir": {"medium": "Memory"}},
        ],
    }
