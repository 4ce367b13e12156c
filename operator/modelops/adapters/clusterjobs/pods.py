"""Summarizes the Pods of a job: whether it runs, since when it holds its nodes, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from modelops.ports import Json

MAX_MESSAGE_CHARACTERS = 200
NORMAL_WAITING_REASONS = frozenset({"ContainerCreating", "PodInitializing"})


@dataclass(frozen=True, kw_only=True)
class PodSummary:
    """All Pods of one job together.

    `started_at` is when the first Pod was assigned to a node, which the job holds from then on.
    """

    active: bool = False
    running: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None
    message: str = ""
    exit_code: int | None = None
    """Exit code of the first container that failed; None where none failed."""


def parse_time(text: str | None) -> datetime | None:
    """A time in the form that Kubernetes writes (RFC 3339); None for None and for an empty text."""
    return datetime.fromisoformat(text) if text else None


def summarize_pods(pods: Sequence[Json]) -> PodSummary:
    """The summary of the Pods of one job."""
    phases = {_phase(pod) for pod in pods}
    started = [found for pod in pods if (found := parse_time(_status(pod).get("startTime")))]
    ends = list(_terminated_states(pods))
    finished = [found for end in ends if (found := parse_time(end.get("finishedAt")))]
    return PodSummary(
        active=bool(phases & {"Pending", "Running", "Unknown"}),
        running="Running" in phases,
        started_at=min(started, default=None),
        finished_at=max(finished, default=None),
        exit_code=next((code for end in ends if (code := end.get("exitCode"))), None),
        message=next((text for pod in pods if (text := _problem(pod))), "")[:MAX_MESSAGE_CHARACTERS],
    )


def reporting_pod(pods: Sequence[Json]) -> str:
    """Name of the Pod whose log is read; empty without Pods.

    With several nodes it is the Pod of the first node; with several tries it is the newest one.
    """

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


def _terminated_states(pods: Sequence[Json]) -> Iterator[Json]:
    for pod in pods:
        for container in _status(pod).get("containerStatuses") or ():
            if end := (container.get("state") or {}).get("terminated"):
                yield end


def _problem(pod: Json) -> str:
    """Why the Pod does not run, or how it failed; empty where nothing is wrong."""
    status = _status(pod)
    if status.get("reason"):  # Evicted, DeadlineExceeded: the container then only shows that it was killed.
        return ": ".join(filter(None, (status["reason"], status.get("message"))))
    for end in _terminated_states([pod]):
        if end.get("exitCode"):
            text = f"{end.get('reason') or 'Error'}, exit code {end['exitCode']}"
            return f"{text}: {end['message']}" if end.get("message") else text
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting")
        if waiting and waiting.get("reason") not in NORMAL_WAITING_REASONS:
            return ": ".join(filter(None, (waiting.get("reason"), waiting.get("message"))))
    unscheduled = (c for c in status.get("conditions") or () if c["type"] == "PodScheduled")
    condition = next(unscheduled, {"status": "True"})
    return str(condition.get("message", "")) if condition["status"] == "False" else ""
