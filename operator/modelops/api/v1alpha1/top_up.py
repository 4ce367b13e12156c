"""A second look with more examples, where the first one decides nothing: a field of Rollouts, plan and result."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from modelops.api.v1alpha1.cel import Rule
from modelops.api.v1alpha1.meta import ApiModel, Measured, StatusModel


class TopUp(ApiModel):
    """The second look, declared before the first one."""

    max_examples: int = Field(
        ge=30,
        le=100000,
        description="Maximum number of held-out examples of both looks together, 1.5 to 3 times evaluation."
        "maxExamples. The second look asks only about those that the first one did not ask about.",
    )


TOP_UP_RULES = (
    Rule(
        "(has(self.onInconclusive) && self.onInconclusive == 'TopUp') == has(self.topUp)",
        "evaluation.onInconclusive TopUp and evaluation.topUp need each other: write both, or neither",
        field="topUp",
    ),
    Rule(
        "!has(self.topUp) || (has(self.maxExamples) && self.maxExamples >= 20 && "
        "2 * self.topUp.maxExamples >= 3 * self.maxExamples && self.topUp.maxExamples <= 3 * self.maxExamples)",
        "evaluation.topUp.maxExamples must be 1.5 to 3 times evaluation.maxExamples, which must be at least 20: write "
        "for example maxExamples 150 and topUp.maxExamples 300",
        field="topUp",
    ),
)
"""Rules of `Evaluation`: what is not declared before the first look would be chosen after a result was seen."""


class PlannedLook(StatusModel):
    """One look at the results, as it is planned."""

    examples: int = Field(
        ge=0, description="Number of examples of this look, those of the first one included."
    )
    error_percent: Measured = Field(
        description="Probability in percent with which this look lets a candidate pass that is worse by the margin, at "
        "most."
    )


class LookResult(PlannedLook):
    """What one look found."""

    difference_points: str = Field(
        default="",
        max_length=16,
        description="Success rate of the candidate minus that of the stable model, in percentage points.",
    )
    interval_points: tuple[Annotated[str, Field(max_length=16)], ...] = Field(
        default=(),
        max_length=2,
        description="Confidence interval of the difference: its lower end with errorPercent, its upper end with 5 "
        "percent, in percentage points.",
    )
    verdict: str = Field(
        default="", max_length=16, description="Verdict of this look: pass, fail or inconclusive."
    )
