"""A job that gets no hardware: with flavor `auto`, another attempt tries other hardware."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from modelops.domain.facts import UNSEEN
from modelops.domain.plan import Plan
from modelops.domain.reasons import TrainingReason
from modelops.domain.training.actions import TrainingFact, TrainingPlan
from modelops.domain.training.next_attempt import flavor_is_auto
from modelops.domain.training.outcome.retry import backoff_limit, retries
from modelops.domain.training.pricing.estimate import CannotEstimate
from modelops.domain.training.pricing.run_estimate import estimate_attempt
from modelops.domain.training.state import State
from modelops.domain.training.status import status_steps, with_phase
from modelops.ports import Job, ModelInfo


def replace_stuck_job(state: State, job: Job) -> TrainingPlan | None:
    """The job has waited too long and other hardware fits: the reason is written to status.ending, which stops the job.

    If no other hardware fits, or the run names its hardware, the job waits until the deadline: waiting costs nothing.
    """
    recorded = state.run.status.job
    since = recorded.intended_at if recorded else None
    waited = (state.now - since).total_seconds() if since else 0.0
    if (
        waited < state.settings.scheduling_seconds
        or not flavor_is_auto(state)
        or retries(state) >= backoff_limit(state)
    ):
        return None
    for fact, value in (
        (TrainingFact.FLAVORS, state.flavors),
        (TrainingFact.BASE, state.base),
        (TrainingFact.BASE_CONFIG, state.base_config),
    ):
        if value is UNSEEN:
            return Plan(needs=fact)
    alternative = alternative_flavor(state)
    if not alternative:
        return None
    flavor = state.run.status.estimate.flavor if state.run.status.estimate else ""
    message = f"job {job.id} waited {waited / 60:.0f} min for {flavor}: {alternative} is tried instead"
    reason = TrainingReason.StuckInScheduling
    latched = with_phase(state, state.run.status.phase, reason, message, ending=reason.value)
    return Plan(steps=status_steps(state, latched, reason, message), requeue_after=0)


def alternative_flavor(state: State) -> str:
    """The flavor that would be chosen if the job's did not exist; empty if there is none, or a fact is missing."""
    status = state.run.status
    if (
        not isinstance(state.flavors, tuple)
        or not isinstance(state.base, ModelInfo)
        or not isinstance(state.base_config, Mapping | None)
        or status.dataset is None
        or status.estimate is None
    ):
        return ""
    others = tuple(flavor for flavor in state.flavors if flavor.name != status.estimate.flavor)
    try:
        return estimate_attempt(replace(state, flavors=others), status.dataset).flavor
    except CannotEstimate:
        return ""
