"""Reading and setting conditions. A condition's transition time changes only together with its status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from modelops.api.v1alpha1.meta import Condition, ConditionStatus


def condition_of(conditions: Iterable[Condition], kind: str) -> Condition | None:
    """The condition of this type; None where there is none."""
    return next((c for c in conditions if c.type == kind), None)


def is_true(conditions: Iterable[Condition], kind: str) -> bool:
    """Whether the condition exists and its status is True."""
    found = condition_of(conditions, kind)
    return found is not None and found.status is ConditionStatus.TRUE


def without_condition(conditions: Iterable[Condition], kind: str) -> tuple[Condition, ...]:
    """The conditions without the one of this type."""
    return tuple(c for c in conditions if c.type != kind)


def with_condition(
    conditions: tuple[Condition, ...],
    kind: str,
    status: ConditionStatus | bool,
    *,
    reason: str,
    message: str,
    generation: int,
    now: datetime,
) -> tuple[Condition, ...]:
    """The conditions with this one set, in the same order. The message is cut after 2048 characters."""
    if isinstance(status, bool):
        status = ConditionStatus.TRUE if status else ConditionStatus.FALSE
    old = condition_of(conditions, kind)
    since = (
        old.last_transition_time if old is not None and old.status is status else now.replace(microsecond=0)
    )
    new = Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message[:2048],
        observed_generation=generation,
        last_transition_time=since,
    )
    if old is None:
        return (*conditions, new)
    return tuple(new if c.type == kind else c for c in conditions)


def with_conditions(
    conditions: tuple[Condition, ...],
    statuses: Mapping[str, ConditionStatus | bool],
    *,
    reason: str,
    message: str,
    generation: int,
    now: datetime,
    lasting: Mapping[str, str] | None = None,
) -> tuple[Condition, ...]:
    """The conditions with all of `statuses` set, with the same reason and message.

    `lasting`: other messages, for conditions that stay when the message is not true any more.
    """
    for kind, status in statuses.items():
        conditions = with_condition(
            conditions,
            kind,
            status,
            reason=reason,
            message=(lasting or {}).get(kind, message),
            generation=generation,
            now=now,
        )
    return conditions
