"""Kueue: whether a LocalQueue exists, and why a job waits in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelops.adapters.clusterjobs.names import LOCAL_QUEUES, WORKLOADS, queue_of
from modelops.adapters.kube import KubeClient
from modelops.ports import Json, Refused, Unavailable

JOB_UID = "kueue.x-k8s.io/job-uid"
"""Label of a Workload (Kueue, pkg/controller/constants)."""


async def missing_queue_message(kube: KubeClient, *, namespace: str, queue: str, field: str) -> str:
    """Says that the LocalQueue does not exist, and what to do; empty where it exists."""
    if await kube.get(LOCAL_QUEUES, namespace, queue) is not None:
        return ""
    return (
        f"{field} is {queue!r}, and namespace {namespace} has no LocalQueue of that name (or Kueue is not installed): "
        "create the LocalQueue, or remove the field"
    )


async def queue_messages(kube: KubeClient, *, namespace: str, items: Sequence[Json]) -> Mapping[str, str]:
    """Why each suspended job waits, by the job's uid.

    Kueue's reason is left out where the operator may not read Workloads.
    """
    waiting = {item["metadata"]["uid"]: queue_of(item) for item in items if queue_of(item)}
    if not waiting:
        return {}
    messages = {uid: f"the job waits in Kueue's LocalQueue {queue}" for uid, queue in waiting.items()}
    selector = f"{JOB_UID} in ({','.join(sorted(waiting))})"
    try:
        workloads, _ = await kube.list(WORKLOADS, namespace=namespace, label_selector=selector)
    except (Refused, Unavailable):
        return messages
    for workload in workloads:
        uid = workload["metadata"]["labels"][JOB_UID]
        if reason := _reason_not_admitted(workload):
            messages[uid] = f"{messages[uid]}: {reason}"
    return messages


def _reason_not_admitted(workload: Json) -> str:
    conditions = (workload.get("status") or {}).get("conditions") or ()
    for kind in ("QuotaReserved", "Admitted"):
        for condition in conditions:
            if condition["type"] == kind and condition["status"] == "False":
                return str(condition.get("message", ""))[:200]
    return ""
