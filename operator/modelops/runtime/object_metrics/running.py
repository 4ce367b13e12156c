"""The samples of one TrainingRun that has not finished."""

from __future__ import annotations

from datetime import datetime

from modelops.api.v1alpha1.trainingrun import TrainingPhase
from modelops.engine.watched_job import JobObservation
from modelops.ports import Json
from modelops.runtime.object_metrics import families
from modelops.runtime.object_metrics.exposition import Exposition, Family, label
from modelops.runtime.object_metrics.stored import condition, moment, number, part, text


def add_run(
    exposition: Exposition, labels: str, item: Json, *, seen: JobObservation | None, now: datetime
) -> None:
    """Adds the samples of the stored TrainingRun. `seen`: what is known of its job."""
    status, spec = part(item, "status"), part(item, "spec")
    phase = text(status, "phase") or TrainingPhase.PENDING.value
    estimate, job, progress = part(status, "estimate"), part(status, "job"), part(status, "progress")
    now_seconds = now.timestamp()

    def add(family: Family, value: float | None, *more: str) -> None:
        if value is not None:
            exposition.add(family, ",".join((labels, *more)), value)

    more = {"phase": phase, "flavor": text(estimate, "flavor"), "method": text(spec, "method") or "sft"}
    add(families.RUN_INFO, 1, *(label(name, value) for name, value in more.items()))
    for bound in ("low", "high"):
        minutes = number(estimate, f"{bound}Minutes")
        bound_label = label("bound", bound)
        add(families.RUN_ESTIMATE, number(estimate, f"{bound}USD"), bound_label)
        add(families.RUN_ESTIMATED_TIME, minutes * 60 if minutes is not None else None, bound_label)
    if phase == TrainingPhase.AWAITING_APPROVAL:
        since = moment(condition(status, "Approved"), "lastTransitionTime") or moment(status, "startedAt")
        add(families.RUN_APPROVAL_WAIT, _age(since, now_seconds))
    if phase == TrainingPhase.SCHEDULING:
        add(families.RUN_HARDWARE_WAIT, _age(moment(job, "intendedAt"), now_seconds))
    elapsed = None
    if phase == TrainingPhase.RUNNING:
        running = seen.job if seen is not None else None
        started = running.started_at.timestamp() if running is not None and running.started_at else None
        elapsed = _age(started, now_seconds)
        percent, eta = number(progress, "percent"), number(progress, "etaMinutes")
        add(families.RUN_PROGRESS, percent / 100 if percent is not None else 0)
        add(families.RUN_LOSS, number(progress, "loss"))
        add(families.RUN_ETA, eta * 60 if eta is not None else None)
        add(families.RUN_SPEED, tokens_per_second(status, seen))
        heard = moment(progress, "updatedAt") or started or moment(job, "intendedAt")
        add(families.RUN_SILENCE, _age(heard, now_seconds))
        add(families.RUN_ELAPSED, elapsed)
    booked, price = number(status, "costUSD") or 0.0, number(estimate, "usdPerHour") or 0.0
    if booked or elapsed is not None:
        add(families.RUN_COST, booked + (elapsed or 0.0) * price / 3600)


def tokens_per_second(status: Json, seen: JobObservation | None) -> float | None:
    """Tokens of the dataset that were trained on, by the time since the job began to train."""
    tokens = number(part(status, "dataset"), "tokens")
    report = seen.report if seen is not None else None
    if tokens is None or report is None or report.step <= 0 or report.t <= report.began_at:
        return None
    return tokens * report.epoch / (report.t - report.began_at)


def _age(since: float | None, now: float) -> float | None:
    return max(0.0, now - since) if since is not None else None
