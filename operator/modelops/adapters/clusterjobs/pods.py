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
    message: str = ""
    exit_code: int | None = None
    """Exit code of the job's own container, of the first one that failed; None where none failed."""
    outlived: ContainerEnd | None = None
    """How the job's own containers ended, where all have and others keep their Pods running; None elsewhere."""


@dataclass(frozen=True, kw_only=True)
class ContainerEnd:
    """The end of a job's own container, or the first failed one and the last end of several nodes' containers."""

    exit_code: int
    at: datetime | None


def parse_time(text: str | None) -> datetime | None:
    """A time in the form that Kubernetes writes (RFC 3339); None for None and for an empty text."""
    return datetime.fromisoformat(text) if text else None


def summarize_pods(pods: Sequence[Json], *, container: str) -> PodSummary:
    """The summary of the Pods of one job. `container`: the name of the one that works in each of them."""
    phases = {_phase(pod) for pod in pods}
    started = [found for pod in pods if (found := parse_time(_status(pod).get("startTime")))]
    return PodSummary(
        active=bool(phases & {"Pending", "Running", "Unknown"}),
        running="Running" in phases,
        started_at=min(started, default=None),
        exit_code=next((code for pod in pods if (code := end_of(pod, container).get("exitCode"))), None),
        message=next((text for pod in pods if (text := _problem(pod))), "")[:MAX_MESSAGE_CHARACTERS],
        outlived=_outlived(pods, container),
    )


def outliving_containers(pod: Json, container: str) -> tuple[str, ...]:
    """Names of the containers that keep a Pod running after this one has ended, as that of a service mesh does."""
    states = {one["name"]: one.get("state") or {} for one in _status(pod).get("containerStatuses") or ()}
    if _phase(pod) != "Running" or "terminated" not in states.pop(container, {}):
        return ()
    return tuple(name for name, state in states.items() if "terminated" not in state)


def end_of(pod: Json, container: str) -> Json:
    """How this container of the Pod ended; empty where it has not."""
    statuses = _status(pod).get("containerStatuses") or ()
    found: Json = next((one.get("state") or {} for one in statuses if one["name"] == container), {})
    return found.get("terminated") or {}


def _outlived(pods: Sequence[Json], container: str) -> ContainerEnd | None:
    """None also while one of several nodes works on. Pods that have ended, as preempted ones do, say nothing."""
    going = [pod for pod in pods if _phase(pod) not in ("Succeeded", "Failed")]
    if not going or not all(outliving_containers(pod, container) for pod in going):
        return None
    ends = [end_of(pod, container) for pod in going]
    at = [found for end in ends if (found := parse_time(end.get("finishedAt")))]
    code = next((code for end in ends if (code := end.get("exitCode"))), 0)
    return ContainerEnd(exit_code=code, at=max(at, default=None))


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
