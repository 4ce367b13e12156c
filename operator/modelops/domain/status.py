"""How the status of a kind that finishes is changed: phase, reason and conditions always together.

`training/status.py` and `rollout/status.py` say which phases end their kind, and when an Event is due.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from modelops.api.v1alpha1.meta import ConditionStatus
from modelops.api.v1alpha1.rollout import RolloutPhase, RolloutStatus
from modelops.api.v1alpha1.trainingrun import TrainingPhase, TrainingRunStatus
from modelops.domain.conditions import with_conditions
from modelops.domain.plan import Announce, WriteStatus
from modelops.domain.reasons import Reason

StatusT = TypeVar("StatusT", TrainingRunStatus, RolloutStatus)


def status_in_phase(
    old: StatusT,
    phase: TrainingPhase | RolloutPhase,
    reason: Reason,
    message: str,
    *,
    succeeded: bool,
    terminal: bool,
    generation: int,
    now: datetime,
    facts: Mapping[str, ConditionStatus | bool] | None = None,
    **changes: Any,
) -> StatusT:
    """The status in this phase for this reason.

    `succeeded`, `terminal`: whether the phase is the good end, and whether it is any end. `facts`: further conditions
    with the same reason and message. `generation`: of the object that the status speaks of.
    """
    conditions = with_conditions(
        old.conditions,
        {
            "Ready": succeeded,
            **(facts or {}),
            "Finished": terminal,
            "Succeeded": succeeded if terminal else ConditionStatus.UNKNOWN,
        },
        reason=reason.value,
        message=message,
        generation=generation,
        now=now,
    )
    return old.model_copy(
        update={
            "observed_generation": generation,
            "phase": phase,
            "reason": reason.value,
            "finished_at": (old.finished_at or now.replace(microsecond=0)) if terminal else None,
            "conditions": conditions,
            **changes,
        }
    )


def write_and_announce(
    old: StatusT, new: StatusT, reason: Reason, message: str, *, is_news: bool, warning: bool
) -> tuple[WriteStatus | Announce, ...]:
    """The write of the status, with an Event where `is_news`; nothing where the status is unchanged."""
    if new == old:
        return ()
    write = WriteStatus(status=new)
    return (write, Announce(reason=reason.value, message=message, warning=warning)) if is_news else (write,)
