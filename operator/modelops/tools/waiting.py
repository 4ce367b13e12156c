"""Waits for the end of what a tool has started or found."""

from __future__ import annotations

from collections.abc import Callable

from modelops.api.v1alpha1.reading import KindT
from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.client import WaitTimeout, has_finished
from modelops.client.kinds import Kind

UNSEEN_SECONDS = 8.0
"""Time in which an operator that runs has looked at a new object, or checks its inputs."""
DECISION_SECONDS = 20.0


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


async def decided_or_latest(kind: Kind[Rollout], value: Rollout) -> Rollout:
    """The Rollout once it was refused, asks a person, has the agent's lock, or waits for something else; or as it is.

    Where no operator has looked at it within `UNSEEN_SECONDS`, none runs.
    """
    for until, seconds in ((_is_seen, UNSEEN_SECONDS), (_is_decided, DECISION_SECONDS)):
        try:
            value = await kind.wait(
                value.metadata.name, until, what="the operator's decision", timeout=seconds
            )
        except WaitTimeout as late:
            return late.last or value
    return value


def _is_seen(rollout: Rollout) -> bool:
    return bool(rollout.status.conditions) or has_finished(rollout)


def _is_decided(rollout: Rollout) -> bool:
    status = rollout.status
    goes_on = status.offer is not None or status.started_at is not None
    return has_finished(rollout) or goes_on or (bool(status.reason) and not status.abort_reason)
