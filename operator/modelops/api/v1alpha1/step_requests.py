"""What a person opens in a canary (`spec.promote`), and the step that waits until the analysis has shown something."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from modelops.api.v1alpha1.cel import Rule
from modelops.api.v1alpha1.meta import ApiModel, Points


class PromoteRequest(ApiModel):
    """What a person has opened of the canary's steps. It only grows: what was opened stays open."""

    through_step: int | None = Field(
        default=None,
        ge=1,
        le=16,
        description="Number of the step, from 1, up to which every pause and every analysis is open: the rollout does "
        "not wait there any more. It cannot be made smaller. If it is empty, no pause is opened by it.",
    )
    full: bool = Field(
        default=False,
        description="True opens all pauses, leaves out the weights that are left, and promotes the candidate at once "
        "from its first weight on. A breach, agents that have not confirmed the weight, and a missing approval still "
        "hold it. It cannot be unset.",
    )


class StepAnalysis(ApiModel):
    """A step that ends as soon as the canary is healthy and what is asked is shown, without a fixed time."""

    exclude_points: (
        Annotated[
            Points,
            Rule("double(self) > 0.0", "write percentage points above 0, such as 10, or leave the field out"),
        ]
        | None
    ) = Field(
        default=None,
        description="Difference in percentage points that the step waits to exclude, as spec.analysis.excludePoints. "
        "If it is empty, it is that of spec.analysis; if that is empty as well, the canary must only be healthy.",
    )
    timeout_seconds: int = Field(
        default=86400,
        ge=1,
        le=2592000,
        description="Seconds after which the step asks a person, if it has not been shown: from then on it waits like "
        "a pause without a duration.",
    )


class OnActive(StrEnum):
    """What a rollout does while another one of its agent is active."""

    QUEUE = "Queue"
    SUPERSEDE = "Supersede"


_STEPS = "self.strategy.canary.steps"
_NEW, _OLD = "self.promote", "oldSelf.promote"

PROMOTE_RULES: Final = (
    Rule(
        "!has(self.promote) || has(self.strategy.canary)",
        "promote needs strategy.canary: other strategies have no pauses that a person could open",
        field="promote",
    ),
    Rule(
        "!has(self.promote) || !has(self.promote.throughStep) || !has(self.strategy.canary) || "
        f"!has({_STEPS}) || self.promote.throughStep <= {_STEPS}.size()",
        "promote.throughStep must be the number of a step of canary.steps; to open all of them, set promote.full",
        field="promote",
    ),
    Rule(
        f"!has({_OLD}) || (has({_NEW}) && (!has({_OLD}.throughStep) || "
        f"(has({_NEW}.throughStep) && {_NEW}.throughStep >= {_OLD}.throughStep)) && "
        f"(!has({_OLD}.full) || !{_OLD}.full || (has({_NEW}.full) && {_NEW}.full)))",
        "promote only grows, because what was opened may have been passed: to stop the rollout, set abort or paused",
        field="promote",
    ),
)
"""The rules of `spec.promote`, on the spec: unsetting the field would bypass a rule on it."""
