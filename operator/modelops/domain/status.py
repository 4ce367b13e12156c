"""How the status of a kind that finishes is changed: phase, reason and conditions always together.

`training/status.py` and `rollout/status.py` say which phases end their kind, and when an Event is due.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from modelops.api.v1alpha1.meta import ConditionStatus, ObjectMeta
from modelops.api.v1alpha1.rollout import RolloutPhase, RolloutStatus
from modelops.api.v1alpha1.trainingrun import TrainingPhase, TrainingRunStatus
from modelops.domain.conditions import with_conditions
from modelops.domain.kstatus import outlook_at_end, outlook_before_end, with_kstatus
from modelops.domain.plan import Action, Announce, Fact, Plan, WriteStatus
from modelops.domain.reasons import RolloutReason, TrainingReason
from modelops.domain.status_history import with_transition

StatusT = TypeVar("StatusT", TrainingRunStatus, RolloutStatus)
ActionT = TypeVar("ActionT", bound=Action)
FactT = TypeVar("FactT", bound=Fact)


def status_in_phase(
    old: StatusT,
    phase: TrainingPhase | RolloutPhase,
    reason: TrainingReason | RolloutReason,
    message: str,
    *,
    succeeded: bool,
    terminal: bool,
    generation: int,
    now: datetime,
    facts: Mapping[str, ConditionStatus | bool] | None = None,
    lasting: Mapping[str, str] | None = None,
    **changes: Any,
) -> StatusT:
    """The status in this phase for this reason.

    `succeeded`, `terminal`: whether the phase is the good end, and whether it is any end. `facts`: further conditions
    with the same reason and message; `lasting` has the messages of those that outlast this one. `generation`: of the
    object that the status speaks of.
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
        lasting=lasting,
    )
    conditions = with_kstatus(
        conditions,
        outlook_at_end(good=succeeded) if terminal else outlook_before_end(reason),
        generation=generation,
        now=now,
    )
    new = old.model_copy(
        update={
            "observed_generation": generation,
            "phase": phase,
            "reason": reason.value,
            "finished_at": (old.finished_at or now.replace(microsecond=0)) if terminal else None,
            "conditions": conditions,
            **changes,
        }
    )
    return with_transition(old, new, message=message, now=now)


def with_generation_observed(
    plan: Plan[ActionT, FactT], old: StatusT, metadata: ObjectMeta
) -> Plan[ActionT, FactT]:
    """The plan; where it does nothing after an edit of the spec, it says that the status holds for the edited spec too.

    Programs that wait for an object (kubectl wait, Helm, Flux) do not believe a status of an older generation.
    """
    is_decided = plan.empty and plan.needs is None and metadata.deletion_timestamp is None
    if not is_decided or not old.conditions or old.observed_generation == metadata.generation:
        return plan
    conditions = tuple(
        c.model_copy(update={"observed_generation": metadata.generation}) for c in old.conditions
    )
    status = old.model_copy(update={"observed_generation": metadata.generation, "conditions": conditions})
    return replace(plan, steps=(WriteStatus(status=status),))


def write_and_announce(
    old: StatusT,
    new: StatusT,
    reason: TrainingReason | RolloutReason,
    message: str,
    *,
    is_news: bool,
    warning: bool,
) -> tuple[WriteStatus | Announce, ...]:
    """The write of the status, with an Event where `is_news`; nothing where the status is unchanged."""
    if new == old:
        return ()
    write = WriteStatus(status=new)
    return (write, Announce(reason=reason.value, message=message, warning=warning)) if is_news else (write,)
