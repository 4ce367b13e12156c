"""The finalizer that keeps a Rollout until its agent serves stable again."""

from __future__ import annotations

from modelops.api.v1alpha1.names import FINALIZER
from modelops.domain.plan import WriteFinalizers
from modelops.domain.rollout.actions import RolloutStep
from modelops.domain.rollout.state import State


def drop_finalizer(state: State) -> tuple[RolloutStep, ...]:
    """The step that removes the finalizer; empty where the Rollout has none."""
    kept = tuple(name for name in state.rollout.metadata.finalizers if name != FINALIZER)
    return (WriteFinalizers(finalizers=kept),) if kept != state.rollout.metadata.finalizers else ()
