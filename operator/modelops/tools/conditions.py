"""Reads the conditions of an object for a person."""

from __future__ import annotations

from typing import Any

from modelops.api.v1alpha1.meta import Condition, ConditionStatus


def condition(value: Any, kind: str) -> Condition | None:
    """The condition of that type."""
    return next((one for one in value.status.conditions if one.type == kind), None)


def has_succeeded(value: Any) -> bool | None:
    """Whether a TrainingRun or Rollout did what was asked; None until it has ended."""
    found = condition(value, "Succeeded")
    if found is None or found.status is ConditionStatus.UNKNOWN:
        return None
    return found.status is ConditionStatus.TRUE


def what_happens(value: Any) -> str:
    """The message of the condition that says most: how it ended, or what it waits for."""
    for kind in ("Succeeded", "Finished", "Stalled", "Ready"):
        found = condition(value, kind)
        if (
            found is not None
            and found.message
            and (kind != "Stalled" or found.status is ConditionStatus.TRUE)
        ):
            return found.message
    if not value.status.conditions and not value.status.reason:
        return "waits for the operator; if that lasts, `modelops doctor` says why"
    return str(value.status.reason or value.status.phase)


def number(text: str | None) -> float | None:
    """A measured number of a status; None where there is none."""
    try:
        return float(text) if text else None
    except ValueError:
        return None
