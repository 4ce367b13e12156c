"""The verdict of a gate: an interval proves that the candidate passes, that it fails, or neither."""

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
        """`deploy`, `reject` or `review`, as reports and the registry show it."""
        return {"pass": "deploy", "fail": "reject", "inconclusive": "review"}[self.value]


def evaluate(interval: Interval, *, goal: Goal, margin: float) -> Verdict:
    """The verdict for the confidence interval of a difference, candidate minus baseline. All values are fractions.

    For non-inferiority the threshold is -margin, for superiority it is 0. The verdict is PASS where the whole interval
    is above the threshold, FAIL where the whole interval is below it, and otherwise INCONCLUSIVE.

    Raises:
        ValueError: the margin is below 0 or above 1.
    """
    if not 0 <= margin <= 1:
        raise ValueError(f"margin {margin} is not between 0 and 1")
    threshold = -margin if goal is Goal.NON_INFERIOR else 0.0
    if interval.low > threshold:
        return Verdict.PASS
    if interval.high < threshold:
        return Verdict.FAIL
    return Verdict.INCONCLUSIVE
