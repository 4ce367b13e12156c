"""The history in a status: one short entry for each transition that the status itself forgets."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pydantic import Field

from modelops.api.v1alpha1.meta import Measured, StatusModel

HISTORY_LENGTH: Final = 32
MESSAGE_LENGTH: Final = 256


class Transition(StatusModel):
    """A moment at which the phase or the reason of the object changed."""

    number: int = Field(
        ge=1, description="Number of the transition; the first one of the object is 1. No number comes twice."
    )
    at: datetime = Field(description="Time of the transition, to a second.")
    phase: str = Field(default="", max_length=32, description="Phase from then on.")
    reason: str = Field(
        max_length=64, description="Reason from then on: one CamelCase word from the table of reasons."
    )
    message: str = Field(
        default="",
        max_length=MESSAGE_LENGTH,
        description="What was said of it, for people, cut after 256 characters.",
    )
    folded: int = Field(
        default=0,
        ge=0,
        description="Number of transitions right after this one that were left out, because the list is bounded.",
    )


class RolloutTransition(Transition):
    """A moment at which the phase, the reason or the step of the Rollout changed."""

    step: int = Field(default=0, ge=0, description="Number of the step from then on. 0 before the first one.")
    weight: int = Field(
        default=0, ge=0, le=100, description="Percentage of sessions that go to the canary from then on."
    )
    sessions: int | None = Field(
        default=None,
        ge=0,
        description="Sessions of the canary that were known. Empty before its first weight.",
    )
    failed_sessions: int | None = Field(
        default=None, ge=0, description="Number of these sessions that had an error."
    )
    evidence: Measured = Field(
        default="", description="Evidence that the canary is worse, as in status.analysis.evidence."
    )


class TrainingTransition(Transition):
    """A moment at which the phase or the reason of the TrainingRun changed."""

    attempt: int = Field(default=0, ge=0, description="Number of the attempt. 0 before the first one.")


class AgentModelTransition(Transition):
    """A moment at which another version served the agent, or the reason of its readiness changed."""

    version: str = Field(default="", max_length=64, description="Version that serves from then on.")
