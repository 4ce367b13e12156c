"""What a report of two numbers for each example says: the means, and the interval of the paired difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from modelops.domain.gates.paired_mean import student_interval


def paired_fields(
    pairs: Sequence[tuple[float, float]],
    *,
    alpha: float,
    mean: Callable[[float], str],
    difference: Callable[[float], str],
) -> dict[str, Any]:
    """The fields `compared`, `baseline`, `candidate`, `difference` and `interval` of (baseline, candidate) pairs.

    The interval is Student's; it needs two pairs. `mean` and `difference` write a number. What is not known is empty.
    """
    if not pairs:
        return {"compared": 0}
    differences = [candidate - baseline for baseline, candidate in pairs]
    ends = student_interval(differences, alpha=alpha) if len(pairs) > 1 else None
    return {
        "compared": len(pairs),
        "baseline": mean(fmean(pair[0] for pair in pairs)),
        "candidate": mean(fmean(pair[1] for pair in pairs)),
        "difference": difference(fmean(differences)),
        "interval": (difference(ends.low), difference(ends.high)) if ends else (),
    }
