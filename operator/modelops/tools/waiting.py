"""Waits for the end of what a tool has started or found."""

from __future__ import annotations

from collections.abc import Callable

from modelops.api.v1alpha1.reading import KindT
from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.client import WaitTimeout, has_finished
from modelops.client.kinds import Kind


def follow(value: TrainingRun | Rollout) -> str:
    """The command with which a person follows it."""
    return f"modelops watch {value.metadata.name} -n {value.metadata.namespace}"


async def ended(
    kind: Kind[KindT], value: KindT, *, wait_seconds: float, seen: Callable[[KindT], None] | None = None
) -> KindT:
    """The object once it has ended. Raises WaitTimeout where that takes longer than `wait_seconds`."""
    if has_finished(value):
        return value
    return await kind.wait(value.metadata.name, has_finished, what="its end", timeout=wait_seconds, seen=seen)


async def ended_or_latest(
    kind: Kind[KindT], value: KindT, *, wait_seconds: float, seen: Callable[[KindT], None] | None = None
) -> KindT:
    """The object once it has ended, or as it is after `wait_seconds`."""
    try:
        return await ended(kind, value, wait_seconds=wait_seconds, seen=seen)
    except WaitTimeout as late:
        last: KindT = late.last or value
        return last
