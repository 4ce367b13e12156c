"""The status of a Rollout: phase, reason and conditions always change together."""

from __future__ import annotations

from typing import Any

from modelops.api.v1alpha1.meta import ConditionStatus
from modelops.api.v1alpha1.rollout import RolloutPhase, RolloutStatus
from modelops.domain.plan import Plan
from modelops.domain.reasons import RolloutReason
from modelops.domain.rollout.actions import RolloutPlan, RolloutStep
from modelops.domain.rollout.state import State
from modelops.domain.status import status_in_phase, write_and_announce

TERMINAL = frozenset(
    {RolloutPhase.SUCCEEDED, RolloutPhase.REJECTED, RolloutPhase.ABORTED, RolloutPhase.FAILED}
)


NEEDS_A_PERSON = frozenset(
    {
        RolloutReason.AgentModelNotFound,
        RolloutReason.TargetConflict,
        RolloutReason.StableDrift,
        RolloutReason.SecretNotUsable,
        RolloutReason.ConfigNotUsable,
        RolloutReason.NoPromptContract,
        RolloutReason.NoDataset,
        RolloutReason.TokenRefused,
        RolloutReason.EndpointNotCreated,
        RolloutReason.OperatorDiskFull,
        RolloutReason.ProgramNotRunning,
        RolloutReason.MetricInconclusive,
        RolloutReason.MetricUnavailable,
    }
)
"""Reasons for which a rollout waits until somebody mends something: their Event is a Warning."""


def with_phase(
    state: State,
    phase: RolloutPhase,
    reason: RolloutReason,
    message: str,
    *,
    facts: dict[str, ConditionStatus | bool] | None = None,
    **changes: Any,
) -> RolloutStatus:
    """The status in this phase for this reason. `facts` are further conditions, with the same reason and message.

    At the end, what was said of the candidate's endpoint and of the routing follows from the end: only a promotion
    leaves both as they were.
    """
    if phase in TERMINAL:
        shown = {"EndpointReady", "RoutingPropagated"} & {c.type for c in state.rollout.status.conditions}
        promoted = reason in (RolloutReason.Promoted, RolloutReason.AbortTooLate)
        facts = {**dict.fromkeys(sorted(shown), promoted), **(facts or {})}
        changes = {"offer": None, "approval_digest": "", **changes}
    return status_in_phase(
        state.rollout.status,
        phase,
        reason,
        message,
        succeeded=phase is RolloutPhase.SUCCEEDED,
        terminal=phase in TERMINAL,
        generation=state.rollout.metadata.generation,
        now=state.now,
        facts=facts,
        **changes,
    )


def status_steps(
    state: State, status: RolloutStatus, reason: RolloutReason, message: str
) -> tuple[RolloutStep, ...]:
    """The status write, with an Event where the reason, the phase or the step is new.

    An abort has one Event, when it is latched: its end, which follows at once, says the same.
    """
    old = state.rollout.status
    latched = status.reason == RolloutReason.Aborting
    ends_abort = status.phase in TERMINAL and old.reason == RolloutReason.Aborting
    said = ends_abort and old.abort_reason == status.reason
    return write_and_announce(
        old,
        status,
        reason,
        message,
        is_news=not said and (old.reason, old.phase, old.step) != (status.reason, status.phase, status.step),
        warning=latched or status.phase in TERMINAL - {RolloutPhase.SUCCEEDED} or reason in NEEDS_A_PERSON,
    )


def wait_in_phase(
    state: State,
    phase: RolloutPhase,
    reason: RolloutReason,
    message: str,
    *,
    after: float | None,
    facts: dict[str, ConditionStatus | bool] | None = None,
    **changes: Any,
) -> RolloutPlan:
    """Says what the rollout waits for, and decides again after these seconds. An unchanged status is not written."""
    status = with_phase(state, phase, reason, message, facts=facts, **changes)
    return Plan(steps=status_steps(state, status, reason, message), requeue_after=after)
