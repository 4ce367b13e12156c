"""From a job that ended to a verified model: protocol "Paid job", steps 8 and 9."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modelops.api.v1alpha1.trainingrun import TrainingPhase
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.job_report import JobReport
from modelops.domain.plan import Plan
from modelops.domain.reasons import TrainingReason
from modelops.domain.training.actions import TrainingFact, TrainingPlan
from modelops.domain.training.effective_spec import output_repository
from modelops.domain.training.outcome.conclude import conclude_trained
from modelops.domain.training.outcome.ending import (
    STOPPING_POLL_SECONDS,
)
from modelops.domain.training.outcome.failures import UNPUBLISHED_ENDS, classify_end, log_location
from modelops.domain.training.outcome.retry import retry_or_conclude
from modelops.domain.training.state import State
from modelops.domain.training.status import wait_for_answer, wait_in_phase
from modelops.ports import AttemptClaim, Job, ModelInfo


def verify_or_retry(state: State) -> TrainingPlan:
    """The attempt has ended and none of its jobs runs: verify its model, or start another attempt, or end the run.

    A job that was lost, stopped or timed out may have published its model before.
    """
    recorded = state.require_job()
    job = state.job if isinstance(state.job, Job) else None
    claimed_by_recorded_job = (
        isinstance(state.attempt_claim, AttemptClaim) and state.attempt_claim.job == recorded.id
    )
    if claimed_by_recorded_job and (job is None or job.stage == "COMPLETED"):
        return verify_model(state, job)
    if state.report is UNSEEN:
        return Plan(needs=TrainingFact.REPORT)
    if isinstance(state.report, Outage) and job is not None and not state.operator_ended_attempt:
        # What the job says of its end decides whether another attempt is paid for. The poller bounds the wait.
        return wait_in_phase(
            state,
            TrainingPhase.VERIFYING,
            TrainingReason.Verifying,
            f"job {recorded.id} ended as {job.stage}; the end of its log is read: {state.report.message}",
            after=state.report.retry_after or STOPPING_POLL_SECONDS,
        )
    reason, message = classify_end(state, job, state.report if isinstance(state.report, JobReport) else None)
    if claimed_by_recorded_job and reason not in UNPUBLISHED_ENDS:
        for fact, need in ((state.result, TrainingFact.RESULT), (state.lineage, TrainingFact.LINEAGE)):
            if fact is UNSEEN:
                return Plan(needs=need)
            if isinstance(fact, Outage) and not fact.refused and not state.stop_is_requested:
                return wait_for_answer(
                    state, fact, f"job {recorded.id} ended; whether it published a model cannot be read"
                )
        if published_model(state) is not None:
            return verify_model(state, job)
    return retry_or_conclude(state, reason, message)


@dataclass(frozen=True, kw_only=True)
class PublishedModel:
    """The model on the Hub that a job of this run published."""

    revision: str
    lineage: dict[str, Any]
    """The content of its `modelops.json`."""


def published_model(state: State) -> PublishedModel | None:
    """The model, if its `modelops.json` names this run."""
    lineage = state.lineage if isinstance(state.lineage, dict) else {}
    if not isinstance(state.result, ModelInfo) or lineage.get("run") != state.uid:
        return None
    return PublishedModel(revision=state.result.revision, lineage=lineage)


def hidden_repository(state: State) -> Outage:
    """The refusal behind the answer that there is no output repository: it holds the claim of this attempt's job.

    The Hub answers 403 or 404 where the token may not read a private repository.
    """
    message = (
        f"the Hub shows no repository {output_repository(state)}, in which the job has claimed the attempt: give the "
        "token read access to it"
    )
    return Outage(service="hf", message=message, refused=True, token_refused=True)


def verify_model(state: State, job: Job | None) -> TrainingPlan:
    """COMPLETED only means exit code 0: the model must be on the Hub, and its lineage must name this run."""
    result = hidden_repository(state) if state.result is None else state.result
    for fact, need in ((result, TrainingFact.RESULT), (state.lineage, TrainingFact.LINEAGE)):
        if fact is UNSEEN:
            return Plan(needs=need)
        if isinstance(fact, Outage):
            # A refusal may end, for example when a token is renewed; but a run that must end does not wait for that.
            if fact.refused and (state.stop_is_requested or state.run.status.ending):
                message = f"the model could not be verified: {fact.message}"
                return retry_or_conclude(state, TrainingReason.WeightsMissing, message)
            return wait_for_answer(state, fact, "the model cannot be verified")
    recorded, repo = state.require_job(), output_repository(state)
    published = published_model(state)
    if published is not None:
        if state.report is UNSEEN:
            return Plan(needs=TrainingFact.REPORT)  # Only for the measured speed: any answer will do.
        message = f"{repo} is on the Hub and in the registry"
        return conclude_trained(state, message, revision=published.revision, trained_as=published.lineage)
    if job is None:
        return retry_or_conclude(state, *classify_end(state, None, None))
    settle = state.settings.settle_seconds
    since = (state.now - job.finished_at).total_seconds() if job.finished_at else settle
    if since < settle:
        message = f"job {job.id} completed; its model is not visible in {repo} yet"
        return wait_in_phase(
            state, TrainingPhase.VERIFYING, TrainingReason.Verifying, message, after=STOPPING_POLL_SECONDS
        )
    log = log_location(job, recorded.url)
    message = f"job {job.id} completed, but {repo} holds no model of this run; its log: {log}"
    return retry_or_conclude(state, TrainingReason.WeightsMissing, message)
