"""Labels, annotations, finalizers and names of the objects that are created for an attempt."""

from __future__ import annotations

from typing import Final

from modelops.api.v1alpha1.names import API_VERSION, GROUP
from modelops.domain.training.naming import cluster_job_name
from modelops.ports import ClusterJobSettings, JobRequest, Json, Resource

ATTEMPT_LABEL: Final = f"{GROUP}/attempt"
"""Label of the job and its Pods. Its value is `domain.training.naming.attempt_label`."""
FLAVOR_ANNOTATION: Final = f"{GROUP}/flavor"
PRICE_ANNOTATION: Final = f"{GROUP}/usd-micro-per-hour"
STARTED_ANNOTATION: Final = f"{GROUP}/started-at"
"""Annotation of a cancelled job: when its Pods were assigned to their nodes; empty where they never were."""
COST_FINALIZER: Final = f"{GROUP}/until-booked"
"""Finalizer of a cancelled job: it keeps the object until the job's cost is recorded."""
QUEUE_LABEL: Final = "kueue.x-k8s.io/queue-name"
FOREGROUND_FINALIZER: Final = "foregroundDeletion"

PODS: Final = Resource(group="", version="v1", plural="pods", kind="Pod")
CONFIG_MAPS: Final = Resource(group="", version="v1", plural="configmaps", kind="ConfigMap")
JOBS: Final = Resource(group="batch", version="v1", plural="jobs", kind="Job")
TRAIN_JOBS: Final = Resource(
    group="trainer.kubeflow.org", version="v1alpha1", plural="trainjobs", kind="TrainJob"
)
LOCAL_QUEUES: Final = Resource(
    group="kueue.x-k8s.io", version="v1beta1", plural="localqueues", kind="LocalQueue"
)
WORKLOADS: Final = Resource(group="kueue.x-k8s.io", version="v1beta1", plural="workloads", kind="Workload")


def object_metadata(request: JobRequest, cluster_settings: ClusterJobSettings, *, namespace: str) -> Json:
    """Metadata of every object of the attempt: a label to find it by, and the TrainingRun as its owner."""
    labels = {ATTEMPT_LABEL: request.label, "app.kubernetes.io/managed-by": "modelops"}
    return {
        "name": cluster_job_name(request.label),
        "namespace": namespace,
        "labels": labels,
        "annotations": {
            FLAVOR_ANNOTATION: request.flavor,
            PRICE_ANNOTATION: str(cluster_settings.usd_micro_per_hour),
        },
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": "TrainingRun",
                "name": cluster_settings.run_name,
                "uid": cluster_settings.run_uid,
                "blockOwnerDeletion": False,
            }
        ],
    }


def attempt_label_of(item: Json) -> str:
    """The value of the attempt's label; empty where the object has no such label."""
    return str((item["metadata"].get("labels") or {}).get(ATTEMPT_LABEL, ""))


def annotation_of(item: Json, key: str) -> str | None:
    """The value of the annotation; None where the object does not have it."""
    found = (item["metadata"].get("annotations") or {}).get(key)
    return None if found is None else str(found)


def queue_of(item: Json) -> str:
    """Name of the job's LocalQueue; empty where the job uses no queue."""
    return str((item["metadata"].get("labels") or {}).get(QUEUE_LABEL, ""))
