"""A reason's member name is its value, so that a word from a condition or an Event leads to its code by grep."""

from __future__ import annotations

from collections.abc import Iterable

from modelops.domain.reasons import AgentModelReason, Reason, RolloutReason, TrainingReason

REASONS: tuple[type[Reason], ...] = (AgentModelReason, RolloutReason, TrainingReason)


def misnamed_reasons(kinds: Iterable[type[Reason]] = REASONS) -> list[str]:
    """Members whose name is not their value."""
    return [
        f"{kind.__name__}.{name} = {reason.value!r}: name the member {reason.value}"
        for kind in kinds
        for name, reason in kind.__members__.items()
        if name != reason.value
    ]
