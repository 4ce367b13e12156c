"""The kind of object that runs an attempt in this cluster (Job or TrainJob): how it is built and how it is read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from modelops.adapters.clusterjobs.names import (
    FLAVOR_ANNOTATION,
    FOREGROUND_FINALIZER,
    PRICE_ANNOTATION,
    STARTED_ANNOTATION,
    annotation_of,
    attempt_label_of,
)
from modelops.adapters.clusterjobs.pods import PodSummary, parse_time
from modelops.adapters.kube import KubeClient
from modelops.ports import ClusterJobSettings, Job, JobRequest, Json, Resource

TERMINATION_GRACE_SECONDS: Final = 30
"""How long a Pod may take to end after it was asked to end."""


class JobKind(Protocol):
    """A kind of object that runs an attempt: a batch Job, or a TrainJob of Kubeflow Trainer."""

    resource: Resource
    cluster_role: str
    """The ClusterRole that lets the operator use this kind."""
    container: str
    """Name of the container that trains, in each Pod; a service mesh may add others."""

    async def missing_prerequisite(self, kube: KubeClient, request: JobRequest, *, namespace: str) -> str:
        """What the cluster lacks, so that the job would never start; empty where nothing is missing."""

    def manifest(self, request: JobRequest, cluster_settings: ClusterJobSettings, *, namespace: str) -> Json:
        """The object that is created for the attempt."""

    def pod_selector(self, names: Sequence[str]) -> str:
        """The label selector for the Pods of these jobs."""

    def job_name_of(self, pod: Json) -> str:
        """Name of the job that the Pod belongs to."""

    def is_suspended(self, item: Json) -> bool:
        """Whether the job starts no Pods until Kueue, or a person, resumes it."""

    def outcome(self, item: Json) -> JobOutcome | None:
        """How the job finished by itself; None while it has not."""


@dataclass(frozen=True, kw_only=True)
class JobOutcome:
    """The end of a job, as its controller reports it."""

    stage: str
    at: datetime | None
    message: str = ""


def true_conditions(item: Json) -> dict[str, Json]:
    """The conditions whose status is True, by type."""
    found = _status(item).get("conditions") or ()
    return {c["type"]: c for c in found if c["status"] == "True"}


def job_state(kind: JobKind, item: Json, pods: PodSummary, *, now: datetime, queued: str = "") -> Job:
    """The object and its Pods as a `ports.Job`; `queued`: why Kueue has not admitted it yet."""
    deleted = parse_time(item["metadata"].get("deletionTimestamp"))
    outcome = kind.outcome(item)
    if outcome is None and deleted is None and pods.outlived is not None:
        failed = pods.outlived.exit_code != 0
        outcome = JobOutcome(stage="ERROR" if failed else "COMPLETED", at=pods.outlived.at)
    if outcome is not None:
        # The status of a TrainJob has no start time.
        since = _status(item).get("startTime") or item["metadata"].get("creationTimestamp")
        period = _running_period(item, pods, since=since, until=outcome.at)
        message = outcome.message or pods.message
        return replace(_job(item, outcome.stage, message, period, now), exit_code=pods.exit_code)
    if deleted is not None:
        stopping = FOREGROUND_FINALIZER in (item["metadata"].get("finalizers") or ()) or pods.active
        until = deleted + timedelta(seconds=TERMINATION_GRACE_SECONDS)
        period = _running_period(item, pods, since=_status(item).get("startTime"), until=until)
        return _job(item, "STOPPING" if stopping else "CANCELED", "the job was deleted", period, now)
    if kind.is_suspended(item):
        return _job(item, "SCHEDULING", queued or "the job is suspended", (None, None), now)
    stage = "RUNNING" if pods.running else "SCHEDULING"
    return _job(item, stage, "" if pods.running else pods.message, (pods.started_at, None), now)


def _running_period(
    item: Json, pods: PodSummary, *, since: str | None, until: datetime | None
) -> tuple[datetime | None, datetime | None]:
    """From when to when the job held its nodes; both None where it never held one.

    The start is the annotation that was written when the job was cancelled; else the start of its Pods; else
    `since`, which includes the wait for a node.
    """
    written = annotation_of(item, STARTED_ANNOTATION)
    started = parse_time(written) if written is not None else pods.started_at or parse_time(since)
    return started, (until if started is not None else None)


def _status(item: Json) -> Json:
    found: Json = item.get("status") or {}
    return found


def _job(
    item: Json,
    stage: str,
    message: str,
    period: tuple[datetime | None, datetime | None],
    now: datetime,
) -> Job:
    metadata, (started, finished) = item["metadata"], period
    price = annotation_of(item, PRICE_ANNOTATION) or ""
    seconds = ((finished or now) - started).total_seconds() if started is not None else 0
    return Job(
        id=metadata["name"],
        label=attempt_label_of(item),
        stage=stage,
        message=message,
        flavor=annotation_of(item, FLAVOR_ANNOTATION) or "",
        created_at=parse_time(metadata.get("creationTimestamp")),
        started_at=started,
        finished_at=finished,
        running_seconds=max(0, math.ceil(seconds)),
        usd_micro_per_hour=int(price) if price.isdigit() else None,
    )
