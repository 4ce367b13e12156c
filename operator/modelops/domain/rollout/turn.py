"""Whose turn it is when several rollouts of an agent could begin: first come, first served, or `onActive: Supersede`.

A rollout is in line while only the agent keeps it from beginning. One that waits for its TrainingRun, an approval or a
Secret does not hold up the others. An undo does not wait in line (protocol, Undo 1).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from modelops.api.v1alpha1.rollout import Rollout, RolloutPhase
from modelops.api.v1alpha1.step_requests import OnActive
from modelops.domain.freeze import freeze_at
from modelops.domain.plan import Plan, WriteRolloutStatus
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import Record, Target
from modelops.domain.rollout.actions import RolloutPlan
from modelops.domain.rollout.state import State
from modelops.domain.rollout.status import TERMINAL, status_steps, wait_in_phase, with_phase
from modelops.domain.status import status_in_phase

LINE_SECONDS: Final = 5.0
"""How soon a rollout looks again that waits behind another one: that one's status tells it nothing by an event."""
NEW_SECONDS: Final = 120
"""A rollout without any status counts as in line for so long after its creation."""
_IN_LINE: Final = frozenset(
    {
        RolloutReason.AnotherRolloutActive.value,
        RolloutReason.WaitingForUndo.value,
        RolloutReason.WatchingPromotion.value,
        RolloutReason.WaitingForDrill.value,
        RolloutReason.EvaluationPlanned.value,
        RolloutReason.EmergencyStop.value,
    }
)


def order_of(rollout: Rollout) -> tuple[datetime, str]:
    """Rollouts are served by this: the time of their creation, in whole seconds, and then their name."""
    created = rollout.metadata.creation_timestamp
    return created or datetime.max.replace(tzinfo=UTC), rollout.metadata.name


def came_before(one: Rollout, other: Rollout) -> bool:
    """Whether `one` was created before `other`; False where the time of one is not known."""
    if one.metadata.creation_timestamp is None or other.metadata.creation_timestamp is None:
        return False
    return order_of(one) < order_of(other)


def supersedes(rollout: Rollout) -> bool:
    return rollout.spec.strategy.on_active is OnActive.SUPERSEDE


def is_ending(rollout: Rollout) -> bool:
    """Whether an abort, a deletion or a latch has been asked for, or the end is reached."""
    status, meta = rollout.status, rollout.metadata
    stops = rollout.spec.abort or meta.deletion_timestamp is not None or bool(status.abort_reason)
    return stops or status.phase in TERMINAL


def is_in_line(rollout: Rollout, record: Record, now: datetime) -> bool:
    """Whether only the agent keeps this rollout from beginning, as far as its status says."""
    status, asked = rollout.status, rollout.spec.candidate.version
    undo = asked is not None and asked in record.served and rollout.spec.strategy.immediate is not None
    if undo or is_ending(rollout) or status.started_at is not None:
        return False
    if status.reason:
        return status.reason in _IN_LINE
    created = rollout.metadata.creation_timestamp
    return created is not None and now < created + timedelta(seconds=NEW_SECONDS)


def was_frozen(rollout: Rollout) -> bool:
    """Whether a freeze window kept it from beginning when it was looked at last: after the window it is in line."""
    status = rollout.status
    frozen = status.reason == RolloutReason.Frozen.value and status.started_at is None
    return frozen and not is_ending(rollout)


def next_in_line(state: State) -> Rollout | None:
    """The rollout whose turn comes before this one's; None where it is this one's turn.

    One that supersedes would abort what is active, so it goes before those that wait.
    """
    mine, record = state.rollout, state.require_record()
    windows = state.agent_model.spec.freeze if state.agent_model is not None else ()
    thawed = freeze_at(windows, state.now) is None
    before = [
        one
        for one in state.waiting
        if (is_in_line(one, record, state.now) or (thawed and was_frozen(one)))
        and (
            (supersedes(one) and not supersedes(mine))
            or (supersedes(one) == supersedes(mine) and came_before(one, mine))
        )
    ]
    return min(before, key=lambda one: (not supersedes(one), *order_of(one)), default=None)


def another_one_is_first(state: State, candidate: Target) -> RolloutPlan | None:  # noqa: ARG001
    """First come, first served: without this, the rollout that is reconciled first would begin."""
    record = state.require_record()
    if record.active is not None:
        return None
    first = next_in_line(state)
    if first is None:
        return None
    message = (
        f"Rollout {first.metadata.name} waits for agent {record.agent} as well, and its turn comes before: this "
        "rollout begins after it"
    )
    return wait_in_phase(
        state, RolloutPhase.PENDING, RolloutReason.AnotherRolloutActive, message, after=LINE_SECONDS
    )


def may_supersede(state: State) -> bool:
    """Whether this rollout aborts the active one once it could begin: no newer one, and none that promotes.

    While it is paused, it waits: it would end the other one and then not go on itself.
    """
    active = state.active_rollout
    return (
        supersedes(state.rollout)
        and not state.rollout.spec.paused
        and active is not None
        and came_before(active, state.rollout)
        and not active.status.promoting
        and active.status.phase not in TERMINAL
    )


def freed_by_superseding(state: State) -> int:
    """Micro-USD that are reserved for the rollout which this one aborts: it will not spend them."""
    active, record = state.active_rollout, state.require_record()
    if active is None or not may_supersede(state):
        return 0
    reservation = record.reservations.get(f"{active.metadata.uid}/1")
    return (
        reservation.usd_micro if reservation is not None and reservation.month == f"{state.now:%Y-%m}" else 0
    )


def supersede_active(state: State) -> RolloutPlan | None:
    """The last step before the lock: latches the active rollout's status, as Undo 2 does, and waits for its end.

    The latch is conditional on the version that was read: a promotion that was decided meanwhile makes it fail. None
    where nothing is active.
    """
    record, active = state.require_record(), state.active_rollout
    if record.active is None:
        return None
    name = record.active.name
    message = f"Rollout {name} is being aborted, because this one supersedes it: this rollout begins when it has ended"
    status = with_phase(state, RolloutPhase.PENDING, RolloutReason.AnotherRolloutActive, message)
    waiting = status_steps(state, status, RolloutReason.AnotherRolloutActive, message)
    if active is None or is_ending(active):
        return Plan(steps=waiting, requeue_after=LINE_SECONDS)
    return Plan(steps=(latch_of(state, active), *waiting), requeue_after=LINE_SECONDS)


def latch_of(state: State, active: Rollout) -> WriteRolloutStatus:
    """The abort of the active rollout, on its own status: it makes every older decision of its own fail."""
    meta = active.metadata
    latched = status_in_phase(
        active.status,
        active.status.phase,
        RolloutReason.Aborting,
        f"Rollout {state.rollout.metadata.name} supersedes this one (strategy.onActive): all sessions go back to "
        "stable",
        succeeded=False,
        terminal=False,
        generation=meta.generation,
        now=state.now,
        abort_reason=RolloutReason.SupersededByRollout.value,
    )
    return WriteRolloutStatus(
        name=meta.name, uid=meta.uid, resource_version=meta.resource_version, status=latched
    )
