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
    """The attempt is over and nothing of it runs: verify, or say why there is no model.

    A job that was lost, stopped or ran out of time may have published its model before.
    """
    recorded = state.require_job()
    job = state.job if isinstance(state.job, Job) else None
    won = isinstance(state.attempt_claim, AttemptClaim) and state.attempt_claim.job == recorded.id
    if won and (job is None or job.stage == "COMPLETED"):
        return verify_model(state, job)
    if state.report is UNSEEN:
        return Plan(needs=TrainingFact.REPORT)
    why, message = classify_end(state, job, state.report if isinstance(state.report, JobReport) else None)
    if won and why not in UNPUBLISHED_ENDS:
        for fact, need in ((state.result, TrainingFact.RESULT), (state.lineage, TrainingFact.LINEAGE)):
            if fact is UNSEEN:
                return Plan(needs=need)
            if isinstance(fact, Outage) and not fact.refused and not state.stop_is_requested:
                return wait_for_answer(
                    state, fact, f"job {recorded.id} ended; whether it published cannot be read"
                )
        if published_model(state) is not None:
            return verify_model(state, job)
    return retry_or_conclude(state, why, message)


@dataclass(frozen=True, kw_only=True)
class PublishedModel:
    """The model on the Hub that a job of this run published."""

    revision: str
    lineage: dict[str, Any]
    """The content of its `modelops.json`."""


def published_model(state: State) -> PublishedModel | None:
    """The model, where its `modelops.json` names this run."""
    lineage = state.lineage if isinstance(state.lineage, dict) else {}
    if not isinstance(state.result, ModelInfo) or lineage.get("run") != state.uid:
        return None
    return PublishedModel(revision=state.result.revision, lineage=lineage)


def verify_model(state: State, job: Job | None) -> TrainingPlan:
    """COMPLETED only means exit 0: the model must be on the Hub, made by this run."""
    for fact, need in ((state.result, TrainingFact.RESULT), (state.lineage, TrainingFact.LINEAGE)):
        if fact is UNSEEN:
            return Plan(needs=need)
        if isinstance(fact, Outage):
            # An answer that is a no is waited for only as long as the run may take.
            if fact.refused and (state.stop_is_requested or state.run.status.ending):
                unread = f"the model could not be verified: {fact.message}"
                return retry_or_conclude(state, TrainingReason.WeightsMissing, unread)
            return wait_for_answer(state, fact, "the model cannot be verified")
    recorded, repo = state.require_job(), output_repository(state)
    published = published_model(state)
    if published is not None:
        if state.report is UNSEEN:
            return Plan(needs=TrainingFact.REPORT)  # For its pace; an end does not depend on it.
        message = f"{repo} is on the Hub and in the registry"
        return conclude_trained(state, message, revision=published.revision, trained_as=published.lineage)
    if job is None:
        return retry_or_conclude(state, *classify_end(state, None, None))
    settle = state.settings.settle_seconds
    since = (state.now - job.finished_at).total_seconds() if job.finished_at else settle
    if since < settle:
        message = f"job {job.id} ended well; its model is not visible in {repo} yet"
        return wait_in_phase(
            state, TrainingPhase.VERIFYING, TrainingReason.Verifying, message, after=STOPPING_POLL_SECONDS
        )
    log = log_location(job, recorded.url)
    message = f"job {job.id} ended well but {repo} holds no model of this run; its log: {log}"
    return retry_or_conclude(state, TrainingReason.WeightsMissing, message)
