"""A batch/v1 Job with one Pod on one node. Where a LocalQueue is named, Kueue decides when the Job starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from modelops.adapters.clusterjobs.container import (
    container_environment,
    escape_references,
    resource_requirements,
)
from modelops.adapters.clusterjobs.job_kind import TERMINATION_GRACE_SECONDS, JobOutcome, true_conditions
from modelops.adapters.clusterjobs.kueue import missing_queue_message
from modelops.adapters.clusterjobs.names import ATTEMPT_LABEL, JOBS, QUEUE_LABEL, object_metadata
from modelops.adapters.clusterjobs.pods import parse_time
from modelops.adapters.kube import KubeClient
from modelops.api.v1alpha1.cluster_hardware import KubernetesBackend
from modelops.ports import ClusterJobSettings, JobRequest, Json

USER: Final = {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000}
"""The user of the Pods, where the installation does not say another one."""
JOB_NAME = "batch.kubernetes.io/job-name"


class BatchJobs:
    """`JobKind` of batch/v1 Jobs. `security_context`: that of their Pods, as far as the installation decides it."""

    resource = JOBS
    cluster_role = "modelops-operator-jobs"
    container = "trainer"

    def __init__(self, security_context: Json | None = None) -> None:
        self._security_context = USER if security_context is None else security_context

    async def missing_prerequisite(self, kube: KubeClient, request: JobRequest, *, namespace: str) -> str:
        """Reports a LocalQueue that does not exist."""
        queue = request.cluster_settings.backend.queue_name if request.cluster_settings else None
        if queue is None:
            return ""
        field = "spec.backend.kubernetes.queueName"
        return await missing_queue_message(kube, namespace=namespace, queue=queue, field=field)

    def manifest(self, request: JobRequest, cluster_settings: ClusterJobSettings, *, namespace: str) -> Json:
        """A Job without retries, because the operator decides after a failure.

        The timeout is set on the Pod, not on the Job, so that it counts from when the Pod has a node.
        """
        backend = cluster_settings.backend
        assert isinstance(backend, KubernetesBackend)
        described = object_metadata(request, cluster_settings, namespace=namespace)
        queue = {QUEUE_LABEL: backend.queue_name} if backend.queue_name else {}
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
                    "spec": self._pod(request, cluster_settings, backend),
                },
            },
        }

    def pod_selector(self, names: Sequence[str]) -> str:
        return f"{ATTEMPT_LABEL},{JOB_NAME} in ({','.join(sorted(names))})"

    def job_name_of(self, pod: Json) -> str:
        return str(pod["metadata"]["labels"][JOB_NAME])

    def is_suspended(self, item: Json) -> bool:
        return bool(item["spec"].get("suspend"))

    def outcome(self, item: Json) -> JobOutcome | None:
        true = true_conditions(item)
        if "Complete" in true:
            at = parse_time(
                item["status"].get("completionTime") or true["Complete"].get("lastTransitionTime")
            )
            return JobOutcome(stage="COMPLETED", at=at)
        if failed := true.get("Failed"):
            # BackoffLimitExceeded says only that the one Pod failed; the Pod itself says why.
            message = "" if failed.get("reason") == "BackoffLimitExceeded" else str(failed.get("message", ""))
            return JobOutcome(stage="ERROR", at=parse_time(failed.get("lastTransitionTime")), message=message)
        return None

    def _pod(
        self, request: JobRequest, cluster_settings: ClusterJobSettings, backend: KubernetesBackend
    ) -> Json:
        """The Pod meets the "restricted" Pod Security Standard. `/work` is its home and working directory."""
        optional: dict[str, Any] = {
            "nodeSelector": backend.node_selector,
            "tolerations": [toleration.wire() for toleration in backend.tolerations],
            "runtimeClassName": backend.runtime_class_name,
        }
        return {
            **{key: value for key, value in optional.items() if value},
            "restartPolicy": "Never",
            "activeDeadlineSeconds": request.timeout_seconds,
            "terminationGracePeriodSeconds": TERMINATION_GRACE_SECONDS,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                **self._security_context,
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": self.container,
                    "image": request.image,
                    "command": [escape_references(word) for word in request.command],
                    "workingDir": "/work",
                    "env": [
                        *container_environment(request, cluster_settings),
                        {"name": "HOME", "value": "/work"},
                    ],
                    "resources": resource_requirements(cluster_settings),
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
                # The processes of several GPUs exchange data in /dev/shm, and the default size is 64 MB.
                {"name": "shared-memory", "emptyDir": {"medium": "Memory"}},
            ],
        }
