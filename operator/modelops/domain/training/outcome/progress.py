"""How far a submitted job is."""

from __future__ import annotations

from modelops.api.v1alpha1.trainingrun import Progress, TrainingPhase
from modelops.domain.facts import UNSEEN
from modelops.domain.job_report import JobReport
from modelops.domain.plan import Plan
from modelops.domain.reasons import TrainingReason
from modelops.domain.training.actions import TrainingFact, TrainingPlan
from modelops.domain.training.outcome.scheduling import replace_stuck_job
from modelops.domain.training.state import State
from modelops.domain.training.status import wait_in_phase
from modelops.domain.training.submission.submit import hardware_wait_message
from modelops.ports import Job

MIN_STARTED_SECONDS = 60
"""A job that has run for longer was not cancelled in time."""


def has_started(job: Job) -> bool:
    """Whether the job got its hardware before it was cancelled: a cancel would have taken effect by now."""
    return job.stage == "RUNNING" and job.running_seconds > MIN_STARTED_SECONDS


def report_progress(state: State, job: Job) -> TrainingPlan:
    """Writes into the status how far the job is; gives up a job that gets no hardware."""
    recorded, after = state.require_job(), state.settings.poll_seconds
    if job.stage != "RUNNING":
        stuck = replace_stuck_job(state, job)
        if stuck is not None:
            return stuck
        words = f": {job.message}" if job.message else ""
        message = hardware_wait_message(job.id, job.stage) + words
        return wait_in_phase(
            state, TrainingPhase.SCHEDULING, TrainingReason.JobSubmitted, message, after=after
        )
    if state.report is UNSEEN:
        return Plan(needs=TrainingFact.REPORT)
    report = state.report if isinstance(state.report, JobReport) else None
    reason, message = TrainingReason.JobRunning, f"job {job.id} trains"
    if report is not None and report.warning:
        silent = report.warning_reason == "HubSilent"
        reason = TrainingReason.HubUnavailable if silent else TrainingReason.HubRefused
        message = f"job {job.id} goes on, but {report.warning}"
    return wait_in_phase(
        state,
        TrainingPhase.RUNNING,
        reason,
        message,
        after=after,
        job=recorded.model_copy(update={"stage": job.stage, "url": recorded.url or job.url}),
        progress=newest_progress(state, report, job),
    )


def newest_progress(state: State, report: JobReport | None, job: Job) -> Progress | None:
    """The progress that the job reported last; a report of fewer steps is ignored."""
    old = state.run.status.progress
    if report is None or not report.max_steps or (old is not None and report.step <= old.step):
        return old
    loss = report.metrics.get("loss")
    eta = None
    if job.started_at is not None and report.step:
        seconds = (state.now - job.started_at).total_seconds()
        eta = max(0, round(seconds * (report.max_steps - report.step) / report.step / 60))
    return Progress(
        percent=min(100, report.step * 100 // report.max_steps),
        step=report.step,
        max_steps=report.max_steps,
        loss=f"{loss:.4f}" if loss is not None and 0 <= loss < 1e9 else (old.loss if old else None),
        eta_minutes=eta,
        updated_at=state.now.replace(microsecond=0),
    )
