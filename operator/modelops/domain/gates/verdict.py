"""What an interval proves: pass, fail, or neither."""

from __future__ import annotations

from enum import StrEnum

from modelops.api.v1alpha1.rollout import Goal
from modelops.domain.gates.tango import Interval


class Verdict(StrEnum):
    """The outcome of a gate."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"

    @property
    def recommendation(self) -> str:
        """deploy, reject or review: the word that people and tools are shown."""
        return {"pass": "deploy", "fail": "reject", "inconclusive": "review"}[self.value]


def evaluate(found: Interval, *, goal: Goal, margin: float) -> Verdict:
    """The verdict on a difference (candidate minus baseline) that lies in `found`; all are fractions.

    Not inferior: passes when even the low end is above -margin, fails when even the high end is below it.
    Superior: the same around zero. Raises ValueError for a margin below 0 or above 1.
    """
    if not 0 <= margin <= 1:
        raise ValueError(f"margin {margin} is not between 0 and 1")
    line = -margin if goal is Goal.NON_INFERIOR else 0.0
    if found.low > line:
        return Verdict.PASS
    if found.high < line:
        return Verdict.FAIL
    return Verdict.INCONCLUSIVE
