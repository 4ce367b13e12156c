"""Kueue: whether a queue is there, and why a job waits in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelops.adapters.clusterjobs.names import LOCAL_QUEUES, WORKLOADS, queue_of
from modelops.adapters.kube import KubeClient
from modelops.ports import Json, Refused, Unavailable

JOB_UID = "kueue.x-k8s.io/job-uid"
"""Label of a Workload (Kueue, pkg/controller/constants)."""


async def missing_queue(kube: KubeClient, *, namespace: str, queue: str, field: str) -> str:
    """Why nothing would ever start in that queue; empty where it is there."""
    if await kube.get(LOCAL_QUEUES, namespace, queue) is not None:
        return ""
    return (
        f"{field} {queue}: there is no such LocalQueue in namespace {namespace}, or Kueue is not installed; create it, "
        "or leave the field out"
    )


async def why_queued(kube: KubeClient, *, namespace: str, items: Sequence[Json]) -> Mapping[str, str]:
    """What Kueue says of the suspended jobs, by their uid. Says nothing where its Workloads may not be read."""
    waiting = {item["metadata"]["uid"]: queue_of(item) for item in items if queue_of(item)}
    if not waiting:
        return {}
    told = {uid: f"waits in Kueue's queue {queue}" for uid, queue in waiting.items()}
    selector = f"{JOB_UID} in ({','.join(sorted(waiting))})"
    try:
        workloads, _ = await kube.list(WORKLOADS, namespace=namespace, label_selector=selector)
    except (Refused, Unavailable):
        return told
    for workload in workloads:
        uid = workload["metadata"]["labels"][JOB_UID]
        if words := _words(workload):
            told[uid] = f"{told[uid]}: {words}"
    return told


def _words(workload: Json) -> str:
    conditions = (workload.get("status") or {}).get("conditions") or ()
    for kind in ("QuotaReserved", "Admitted"):
        for condition in conditions:
            if condition["type"] == kind and condition["status"] == "False":
                return str(condition.get("message", ""))[:200]
    return ""
