"""What the Pods of a job say: whether it runs, since when it holds its nodes, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from modelops.ports import Json

MOST_WORDS = 200
QUIET = frozenset({"ContainerCreating", "PodInitializing"})


@dataclass(frozen=True, kw_only=True)
class Pods:
    """Of one job. `started_at`: when the first of them was taken by its node, which it holds from then on."""

    active: bool = False
    running: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None
    message: str = ""
    exit_code: int | None = None
    """Of the first container that failed."""


def moment(text: str | None) -> datetime | None:
    """A time as Kubernetes writes it."""
    return datetime.fromisoformat(text) if text else None


def read(pods: Sequence[Json]) -> Pods:
    """The Pods of one job, summed up."""
    phases = {_phase(pod) for pod in pods}
    started = [found for pod in pods if (found := moment(_status(pod).get("startTime")))]
    finished = [found for end in _ends(pods) if (found := moment(end.get("finishedAt")))]
    return Pods(
        active=bool(phases & {"Pending", "Running", "Unknown"}),
        running="Running" in phases,
        started_at=min(started, default=None),
        finished_at=max(finished, default=None),
        exit_code=next((code for end in _ends(pods) if (code := end.get("exitCode"))), None),
        message=next((words for pod in pods if (words := _words(pod))), "")[:MOST_WORDS],
    )


def leader(pods: Sequence[Json]) -> str:
    """Name of the Pod that reports: the first of several nodes, the newest of several tries; empty without any."""

    def order(pod: Json) -> tuple[bool, str]:
        labels = pod["metadata"].get("labels") or {}
        index = labels.get("batch.kubernetes.io/job-completion-index", "0")
        return index == "0", str(pod["metadata"].get("creationTimestamp", ""))

    return str(max(pods, key=order)["metadata"]["name"]) if pods else ""


def _status(pod: Json) -> Json:
    found: Json = pod.get("status") or {}
    return found


def _phase(pod: Json) -> str:
    return str(_status(pod).get("phase", "Pending"))


def _ends(pods: Sequence[Json]) -> Iterator[Json]:
    for pod in pods:
        for container in _status(pod).get("containerStatuses") or ():
            if end := (container.get("state") or {}).get("terminated"):
                yield end


def _words(pod: Json) -> str:
    """Why it does not run, or how it failed."""
    status = _status(pod)
    if status.get("reason"):  # Evicted, DeadlineExceeded: the container then only says that it was killed.
        return ": ".join(filter(None, (status["reason"], status.get("message"))))
    for end in _ends([pod]):
        if end.get("exitCode"):
            words = f"{end.get('reason') or 'Error'}, exit code {end['exitCode']}"
            return f"{words}: {end['message']}" if end.get("message") else words
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting")
        if waiting and waiting.get("reason") not in QUIET:
            return ": ".join(filter(None, (waiting.get("reason"), waiting.get("message"))))
    unscheduled = (c for c in status.get("conditions") or () if c["type"] == "PodScheduled")
    condition = next(unscheduled, {"status": "True"})
    return str(condition.get("message", "")) if condition["status"] == "False" else ""
