"""Labels, annotations and names of what is made for an attempt."""

from __future__ import annotations

from typing import Final

from modelops.api.v1alpha1.names import API_VERSION, GROUP
from modelops.domain.training.naming import cluster_job_name
from modelops.ports import JobRequest, Json, Placement, Resource

ATTEMPT: Final = f"{GROUP}/attempt"
"""Label, with the attempt's own."""
FLAVOR: Final = f"{GROUP}/flavor"
PRICE: Final = f"{GROUP}/usd-micro-per-hour"
STARTED: Final = f"{GROUP}/started-at"
"""Annotation of a job that is cancelled: since when its Pods held their nodes; empty where they did not."""
BOOKED: Final = f"{GROUP}/until-booked"
"""Finalizer of a job that is cancelled: it can be seen until its cost is on record."""
QUEUE: Final = "kueue.x-k8s.io/queue-name"
FOREGROUND: Final = "foregroundDeletion"

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


def metadata(request: JobRequest, placement: Placement, *, namespace: str) -> Json:
    """Of everything that is made for the attempt: found by its label, and gone when its TrainingRun is."""
    labels = {ATTEMPT: request.label, "app.kubernetes.io/managed-by": "modelops"}
    return {
        "name": cluster_job_name(request.label),
        "namespace": namespace,
        "labels": labels,
        "annotations": {FLAVOR: request.flavor, PRICE: str(placement.usd_micro_per_hour)},
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": "TrainingRun",
                "name": placement.run_name,
                "uid": placement.run_uid,
                "blockOwnerDeletion": False,
            }
        ],
    }


def label_of(item: Json) -> str:
    """The attempt's label; empty for what is not ours."""
    return str((item["metadata"].get("labels") or {}).get(ATTEMPT, ""))


def annotation(item: Json, key: str) -> str | None:
    """None where there is no such annotation."""
    found = (item["metadata"].get("annotations") or {}).get(key)
    return None if found is None else str(found)


def queue_of(item: Json) -> str:
    """Kueue's queue; empty without one."""
    return str((item["metadata"].get("labels") or {}).get(QUEUE, ""))
