"""How a TrainingRun's status is changed: phase, reason and conditions always together."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from modelops.api.v1alpha1.trainingrun import TrainingPhase, TrainingRunStatus
from modelops.domain.facts import Outage
from modelops.domain.plan import Plan
from modelops.domain.reasons import TrainingReason
from modelops.domain.refusals import NEXT_TOKEN
from modelops.domain.status import status_in_phase, write_and_announce
from modelops.domain.training.actions import TrainingPlan, TrainingStep
from modelops.domain.training.state import State

TERMINAL = frozenset({TrainingPhase.SUCCEEDED, TrainingPhase.FAILED, TrainingPhase.CANCELLED})
RETRY_SECONDS = 15.0
"""Before something that failed or is missing is asked for again."""
ANSWER_SECONDS = 5.0
"""The same, if the end of a job waits for the answer."""


def with_phase(
    state: State,
    phase: TrainingPhase,
    reason: TrainingReason,
    message: str,
    *,
    facts: dict[str, bool] | None = None,
    **changes: Any,
) -> TrainingRunStatus:
    """The status in this phase for this reason. `facts`: further conditions with the same reason and message."""
    old = state.run.status
    return status_in_phase(
        old,
        phase,
        reason,
        message,
        succeeded=phase is TrainingPhase.SUCCEEDED,
        terminal=phase in TERMINAL,
        generation=state.run.metadata.generation,
        now=state.now,
        facts=facts,
        **{"started_at": old.started_at or state.now.replace(microsecond=0), **changes},
    )


NEEDS_A_PERSON = frozenset(
    {
        TrainingReason.AgentModelNotFound,
        TrainingReason.SecretNotUsable,
        TrainingReason.NoPromptContract,
        TrainingReason.NoDataset,
        TrainingReason.NoBaseModel,
        TrainingReason.JobsDisabled,
        TrainingReason.TokenRefused,
        TrainingReason.HubRefused,
        TrainingReason.OverBudget,
        TrainingReason.OperatorDiskFull,
        TrainingReason.ProgramNotRunning,
    }
)
"""Reasons for which a run waits until somebody mends something: their Event is a Warning."""


def wait_in_phase(
    state: State,
    phase: TrainingPhase,
    reason: TrainingReason,
    message: str,
    *,
    after: float | None,
    facts: dict[str, bool] | None = None,
    **changes: Any,
) -> TrainingPlan:
    """Writes why the run waits, if that is new; `after`: seconds until the next reconcile, None for no timer."""
    status = with_phase(state, phase, reason, message, facts=facts, **changes)
    return Plan(steps=status_steps(state, status, reason, message), requeue_after=after)


def status_steps(
    state: State, status: TrainingRunStatus, reason: TrainingReason, message: str
) -> tuple[TrainingStep, ...]:
    """The write of the status, with an Event if the reason or the phase is new; empty if nothing changed."""
    old = state.run.status
    return write_and_announce(
        old,
        status,
        reason,
        message,
        is_news=(old.reason, old.phase) != (status.reason, status.phase),
        warning=status.phase is TrainingPhase.FAILED or reason in NEEDS_A_PERSON,
    )


def with_status(state: State, status: TrainingRunStatus) -> State:
    """The state as if the run had this status already, for a plan that writes several changes at once."""
    return replace(state, run=state.run.model_copy(update={"status": status}))


def fail_run(
    state: State,
    reason: TrainingReason,
    message: str,
    *,
    facts: dict[str, bool] | None = None,
    **changes: Any,
) -> TrainingPlan:
    """Ends the run as failed; nothing was submitted."""
    status = with_phase(state, TrainingPhase.FAILED, reason, message, facts=facts, **changes)
    return Plan(steps=status_steps(state, status, reason, message), requeue_after=0)


def end_or_wait_for_permission(
    state: State, reason: TrainingReason, message: str, *, new_run: str, token_refused: bool = False
) -> TrainingPlan:
    """A service refuses what an attempt needs: a further attempt waits. Before the first one, the run ends.

    A refused token ends no run: the next reconcile uses the token that is in the Secret then.
    `new_run`: the end of the message of a run that ends.
    """
    if not state.run.status.attempts:
        return (
            wait_for_token(state, message)
            if token_refused
            else fail_run(state, reason, f"{message}{new_run}")
        )
    reason = TrainingReason.TokenRefused if token_refused else reason
    return wait_for_permission(state, TrainingPhase.PENDING, reason, message, after=RETRY_SECONDS)


def wait_for_token(state: State, refusal: str) -> TrainingPlan:
    """Hugging Face refuses the token before anything is spent: the run waits until the Secret has another one."""
    message = f"{refusal.rstrip('.')}{NEXT_TOKEN}"
    return wait_in_phase(
        state, TrainingPhase.PENDING, TrainingReason.TokenRefused, message, after=RETRY_SECONDS
    )


def wait_for_permission(
    state: State, phase: TrainingPhase, reason: TrainingReason, refusal: str, *, after: float
) -> TrainingPlan:
    """A refusal of a further attempt is waited for until the deadline. `after`: seconds until it is asked again.

    Earlier attempts were paid for, and no other run can continue from their checkpoint. The wait counts towards the
    deadline; it begins it, where a suspension or an approval had stopped it.
    """
    since = state.run.status.active_since or state.now.replace(microsecond=0)
    until = since + timedelta(seconds=state.run.spec.active_deadline_seconds)
    message = (
        f"{refusal}; attempt {state.attempt} waits for that until {until:%Y-%m-%d %H:%M} UTC "
        "(spec.activeDeadlineSeconds)"
    )
    return wait_in_phase(state, phase, reason, message, after=after, active_since=since)


def wait_for_hub(state: State, outage: Outage, about: str) -> TrainingPlan:
    """Waits for the Hub before anything is spent. `about`: what the Hub was asked about."""
    verb = "refused the token when asked" if outage.token_refused else "did not answer"
    message = f"the Hub {verb} about {about}: {outage.message}; trying again"
    after = outage.retry_after or RETRY_SECONDS
    return wait_in_phase(state, TrainingPhase.PENDING, outage_reason(outage), message, after=after)


def outage_reason(outage: Outage) -> TrainingReason:
    """The reason of waiting for the Hub: it does not answer, or refuses the token."""
    return TrainingReason.TokenRefused if outage.token_refused else TrainingReason.HubUnavailable


def wait_for_answer(state: State, outage: Outage, doing: str) -> TrainingPlan:
    """Waits for an answer without which an attempt cannot end. `doing`: what cannot be done."""
    message = f"{doing}: {outage.message}; trying again"
    after = outage.retry_after or ANSWER_SECONDS
    return wait_in_phase(state, state.run.status.phase, outage_reason(outage), message, after=after)
