"""The latencies that count: without the warm-up, as pairs of both models, and beside the limit of the candidate."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from modelops.domain.gates.latency_ceiling import CeilingResult, judge_p95
from modelops.evaluation.journal import Answer
from modelops.evaluation.latency import Ratio, quantile_ratio
from modelops.evaluation.request import ARMS, ArmName, Request

WARM_UP_SHARE = 10
"""At most one call of so many is warm-up, so that few examples still have latencies."""


def after_warm_up(request: Request, answers: Sequence[Answer]) -> list[Answer]:
    """The answers without the first calls of each model, which open connections and may wake the service.

    Each of the calls that are made at the same time is a first one, so these are `concurrency` calls of each model.
    """
    return [
        answer for arm in ARMS for answer in _without_first(request, [a for a in answers if a.arm == arm])
    ]


def _without_first(request: Request, calls: list[Answer]) -> list[Answer]:
    dropped = min(request.concurrency, len(calls) // WARM_UP_SHARE)
    return sorted(calls, key=lambda answer: (answer.started, answer.key))[dropped:]


def candidate_ceiling(request: Request, answers: Sequence[Answer]) -> CeilingResult | None:
    """Whether the candidate is as fast as asked for. A failed call never came, so it is slower than any limit.

    None without a limit, and where the candidate answered nothing: that says nothing of its speed.
    """
    calls = [answer for answer in answers if answer.arm == "candidate"]
    if request.max_p95_ms is None or all(answer.error is not None for answer in calls):
        return None
    latencies = [answer.latency_ms if answer.error is None else math.inf for answer in calls]
    return judge_p95(latencies, limit=request.max_p95_ms, alpha=float(request.alpha))


def latency_ratio(request: Request, answers: Sequence[Answer], *, quantile: float) -> Ratio | None:
    """The ratio over the examples that both arms answered; several repetitions count with their mean."""
    sums: dict[ArmName, dict[str, float]] = {arm: {} for arm in ARMS}
    repeated: Counter[tuple[ArmName, str]] = Counter()
    for answer in answers:
        if answer.error is None:
            of_arm, example = sums[answer.arm], answer.example
            if example in of_arm:
                repeated[answer.arm, example] += 1
            of_arm[example] = of_arm[example] + answer.latency_ms if example in of_arm else answer.latency_ms
    both = sorted(sums["baseline"].keys() & sums["candidate"].keys())
    if not both:
        return None
    baseline, candidate = (
        [sums[arm][example] / (1 + repeated[arm, example]) for example in both] for arm in ARMS
    )
    return quantile_ratio(
        baseline,
        candidate,
        quantile=quantile,
        alpha=float(request.alpha),
        seed=f"{request.rollout} {quantile}",
    )
