"""The history of a status: an entry for each transition, in the write that makes it, and at most 32 of them.

A status says what is, and forgets what was: when the endpoint had started, what a pause had seen, how long a rollout
waited. The history has no write of its own, and no decision reads it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, TypeVar

from modelops.api.v1alpha1.history import (
    HISTORY_LENGTH,
    MESSAGE_LENGTH,
    RolloutTransition,
    TrainingTransition,
    Transition,
)
from modelops.api.v1alpha1.rollout import RolloutStatus
from modelops.api.v1alpha1.trainingrun import TrainingRunStatus

KEPT_AT_THE_BEGINNING: Final = 12
"""Entries that are never folded: how the object began. The newest ones are kept as well."""
StatusT = TypeVar("StatusT", TrainingRunStatus, RolloutStatus)
EntryT = TypeVar("EntryT", bound=Transition)


def with_transition(old: StatusT, new: StatusT, *, message: str, now: datetime) -> StatusT:
    """The new status with an entry for what changed from the old one; unchanged where nothing of it did."""
    if isinstance(old, RolloutStatus) and isinstance(new, RolloutStatus):
        if (old.phase, old.reason, old.step) == (new.phase, new.reason, new.step):
            return new
        return new.model_copy(
            update={"history": appended(old.history, _of_rollout(new, message=message, now=now))}
        )
    if isinstance(old, TrainingRunStatus) and isinstance(new, TrainingRunStatus):
        if (old.phase, old.reason) == (new.phase, new.reason):
            return new
        return new.model_copy(
            update={"history": appended(old.history, _of_training(new, message=message, now=now))}
        )
    return new


def appended(history: tuple[EntryT, ...], entry: EntryT) -> tuple[EntryT, ...]:
    """The history with one more entry, whose number follows. Beyond 32 entries the oldest in the middle are folded."""
    last = history[-1] if history else None
    number = last.number + last.folded + 1 if last is not None else 1
    longer = (*history, entry.model_copy(update={"number": number}))
    if len(longer) <= HISTORY_LENGTH:
        return longer
    first, next_one = longer[KEPT_AT_THE_BEGINNING - 1], longer[KEPT_AT_THE_BEGINNING]
    folded = first.model_copy(update={"folded": first.folded + 1 + next_one.folded})
    return (*longer[: KEPT_AT_THE_BEGINNING - 1], folded, *longer[KEPT_AT_THE_BEGINNING + 1 :])


def shortened(message: str) -> str:
    """The message in the length of an entry."""
    return message if len(message) <= MESSAGE_LENGTH else message[: MESSAGE_LENGTH - 1] + "…"


def _of_rollout(status: RolloutStatus, *, message: str, now: datetime) -> RolloutTransition:
    analysis = status.analysis
    canary = analysis.canary if analysis is not None else None
    return RolloutTransition(
        number=1,
        at=now.replace(microsecond=0),
        phase=status.phase.value,
        reason=status.reason,
        message=shortened(message),
        step=status.step,
        weight=status.weight,
        sessions=canary.sessions if canary is not None else None,
        failed_sessions=canary.failed_sessions if canary is not None else None,
        evidence=analysis.evidence if analysis is not None else "",
    )


def _of_training(status: TrainingRunStatus, *, message: str, now: datetime) -> TrainingTransition:
    return TrainingTransition(
        number=1,
        at=now.replace(microsecond=0),
        phase=status.phase.value,
        reason=status.reason,
        message=shortened(message),
        attempt=status.job.attempt if status.job is not None else 0,
    )
