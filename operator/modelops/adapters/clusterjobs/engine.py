"""What one kind of job in the cluster is: how it is made, and how it is read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from modelops.adapters.clusterjobs.names import FLAVOR, FOREGROUND, PRICE, STARTED, annotation, label_of
from modelops.adapters.clusterjobs.pods import Pods, moment
from modelops.adapters.kube import KubeClient
from modelops.ports import Job, JobRequest, Json, Placement, Resource

GRACE_SECONDS: Final = 30
"""That a Pod has to end after it was told to."""


class Engine(Protocol):
    """A kind of job: a batch Job, a TrainJob."""

    resource: Resource
    role: str
    """The ClusterRole that lets the operator use it."""

    async def refusal(self, kube: KubeClient, request: JobRequest, *, namespace: str) -> str:
        """What is missing in the cluster, so that it would never start; empty where nothing is."""

    def manifest(self, request: JobRequest, placement: Placement, *, namespace: str) -> Json:
        """The object."""

    def selector(self, names: Sequence[str]) -> str:
        """Selects the Pods of these jobs."""

    def owner(self, pod: Json) -> str:
        """Name of the job that the Pod is of."""

    def suspended(self, item: Json) -> bool:
        """Whether nothing of it runs until somebody resumes it."""

    def verdict(self, item: Json) -> Verdict | None:
        """How it ended by itself; None where it has not."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The end of a job, as its controller says it."""

    stage: str
    at: datetime | None
    message: str = ""


def conditions(item: Json) -> dict[str, Json]:
    """Those that are True, by type."""
    found = _status(item).get("conditions") or ()
    return {c["type"]: c for c in found if c["status"] == "True"}


def seen(engine: Engine, item: Json, pods: Pods, *, now: datetime, queued: str = "") -> Job:
    """The job in the words of `ports.Job`."""
    verdict = engine.verdict(item)
    if verdict is not None:
        # A TrainJob does not say when it started.
        since = _status(item).get("startTime") or item["metadata"].get("creationTimestamp")
        ran = _ran(item, pods, since=since, until=verdict.at)
        message = verdict.message or pods.message
        return replace(_job(item, verdict.stage, message, ran, now), exit_code=pods.exit_code)
    deleted = moment(item["metadata"].get("deletionTimestamp"))
    if deleted is not None:
        going = FOREGROUND in (item["metadata"].get("finalizers") or ()) or pods.active
        until = deleted + timedelta(seconds=GRACE_SECONDS)
        ran = _ran(item, pods, since=_status(item).get("startTime"), until=until)
        return _job(item, "STOPPING" if going else "CANCELED", "it is deleted", ran, now)
    if engine.suspended(item):
        return _job(item, "SCHEDULING", queued or "it is suspended", (None, None), now)
    stage = "RUNNING" if pods.running else "SCHEDULING"
    return _job(item, stage, "" if pods.running else pods.message, (pods.started_at, None), now)


def _ran(
    item: Json, pods: Pods, *, since: str | None, until: datetime | None
) -> tuple[datetime | None, datetime | None]:
    """From when to when it held its nodes; both None where it never did.

    Where its Pods are gone, what was written down when it was cancelled; else `since`, which counts the wait for a
    node, too.
    """
    written = annotation(item, STARTED)
    started = moment(written) if written is not None else pods.started_at or moment(since)
    return started, (until if started is not None else None)


def _status(item: Json) -> Json:
    found: Json = item.get("status") or {}
    return found


def _job(
    item: Json,
    stage: str,
    message: str,
    ran: tuple[datetime | None, datetime | None],
    now: datetime,
) -> Job:
    metadata, (started, finished) = item["metadata"], ran
    price = annotation(item, PRICE) or ""
    seconds = ((finished or now) - started).total_seconds() if started is not None else 0
    return Job(
        id=metadata["name"],
        label=label_of(item),
        stage=stage,
        message=message,
        flavor=annotation(item, FLAVOR) or "",
        created_at=moment(metadata.get("creationTimestamp")),
        started_at=started,
        finished_at=finished,
        running_seconds=max(0, math.ceil(seconds)),
        usd_micro_per_hour=int(price) if price.isdigit() else None,
    )
