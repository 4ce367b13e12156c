"""What the status of a Job and of its Pod means for the program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from modelops.adapters.clusterjobs.job_kind import true_conditions
from modelops.adapters.clusterjobs.pods import end_of, outliving_containers, parse_time, summarize_pods
from modelops.adapters.programjobs.manifests import CONTAINER
from modelops.adapters.programs.in_pod import ENDED_WITH_FAILURE, SUCCEEDED
from modelops.ports import Json

START_SECONDS: Final = 30.0
"""For how long a Pod may be missing, or wait for its node and its volume, until that counts as a problem."""
SILENT_SECONDS: Final = 120.0
"""For how long a Pod may be pending without a reason in its status; then the Events about it have one."""


class Stage(Enum):
    """Where the program is."""

    STARTING = "starting"
    RUNNING = "running"
    BLOCKED = "blocked"
    """It does not run, and will not without a change; `message` says why."""
    REPORTED = "reported"
    """It has ended with a result, which the log of `pod` has; `message` says how a Pod before that one died."""
    DIED = "died"
    """Its Pods have ended too often without a result; `message` says how the last one ended."""


@dataclass(frozen=True, kw_only=True)
class JobReading:
    """One reading of a Job. `pod` is the name of the newest Pod; empty where there is none."""

    stage: Stage
    pod: str = ""
    message: str = ""
    events_of: str = ""
    """Uid of the object whose Events say why the program is blocked; empty where `message` says it."""


def read_job(job: Json, pods: Sequence[Json], *, now: datetime) -> JobReading:
    """The reading of a Job with its own Pods."""
    newest = max(pods, key=_creation, default=None)
    name = str(newest["metadata"]["name"]) if newest is not None else ""
    summary = summarize_pods([newest] if newest is not None else [], container=CONTAINER)
    conditions = true_conditions(job)
    if failed := conditions.get("Failed"):
        if failed.get("reason") == "PodFailurePolicy":
            before = [pod for pod in pods if pod is not newest]
            return JobReading(
                stage=Stage.REPORTED, pod=name, message=summarize_pods(before, container=CONTAINER).message
            )
        return JobReading(
            stage=Stage.DIED, pod=name, message=summary.message or str(failed.get("message", ""))
        )
    if "Complete" in conditions:
        return JobReading(stage=Stage.REPORTED, pod=name)
    if newest is None:
        if _age(job, now) > START_SECONDS:
            return JobReading(stage=Stage.BLOCKED, events_of=str(job["metadata"]["uid"]))
        return JobReading(stage=Stage.STARTING)
    if summary.running:
        return _read_running(newest, name, summary.message)
    if _phase(newest) != "Pending":
        return JobReading(stage=Stage.STARTING, pod=name)  # It has ended, and the controller replaces it.
    age = _age(newest, now)
    if summary.message and (_has_container_problem(newest) or age > START_SECONDS):
        return JobReading(stage=Stage.BLOCKED, pod=name, message=summary.message)
    if not summary.message and age > SILENT_SECONDS:
        return JobReading(stage=Stage.BLOCKED, pod=name, events_of=str(newest["metadata"]["uid"]))
    return JobReading(stage=Stage.STARTING, pod=name)


def _read_running(pod: Json, name: str, message: str) -> JobReading:
    """A Pod runs on after its program where a service mesh has added a container that never ends."""
    others = outliving_containers(pod, CONTAINER)
    if not others:
        return JobReading(stage=Stage.RUNNING, pod=name)
    if end_of(pod, CONTAINER).get("exitCode") in (SUCCEEDED, ENDED_WITH_FAILURE):
        return JobReading(stage=Stage.REPORTED, pod=name)
    message = f"{message}; no other Pod replaces it while its container {', '.join(others)} runs"
    return JobReading(stage=Stage.DIED, pod=name, message=message)


def is_unfinished(job: Json) -> bool:
    """Whether the Job has not ended and is not being deleted."""
    ended = true_conditions(job).keys() & {"Complete", "Failed"}
    return not ended and not is_being_deleted(job)


def is_being_deleted(item: Json) -> bool:
    """Whether somebody has deleted the object, and it waits for its finalizers."""
    return bool(item["metadata"].get("deletionTimestamp"))


def _has_container_problem(pod: Json) -> bool:
    return any((status.get("state") or {}).get("waiting") for status in _container_statuses(pod))


def _container_statuses(pod: Json) -> Sequence[Json]:
    found: Sequence[Json] = (pod.get("status") or {}).get("containerStatuses") or ()
    return found


def _phase(pod: Json) -> str:
    return str((pod.get("status") or {}).get("phase", "Pending"))


def _creation(item: Json) -> str:
    return str(item["metadata"].get("creationTimestamp", ""))


def _age(item: Json, now: datetime) -> float:
    created = parse_time(item["metadata"].get("creationTimestamp"))
    return (now - created).total_seconds() if created is not None else 0.0
