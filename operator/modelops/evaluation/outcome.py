"""From the answers to the verdict: scores, pairs, the gate, latency and cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import NormalDist, fmean

from modelops.api.v1alpha1.rollout import Goal
from modelops.domain.gates import cost, paired_mean, tango
from modelops.domain.gates.exact_bound import exact_bound
from modelops.domain.gates.latency_ceiling import Ceiling, CeilingResult
from modelops.domain.gates.tango import Interval, Pairs
from modelops.domain.gates.verdict import Verdict, evaluate
from modelops.evaluation.journal import Answer
from modelops.evaluation.latency import Ratio, percentile_ms
from modelops.evaluation.measured_latency import after_warm_up, candidate_ceiling, latency_ratio
from modelops.evaluation.question import Question
from modelops.evaluation.request import ARMS, ArmName, Request
from modelops.evaluation.scored_answers import Scores, success_of

_HALF = Decimal(50)


@dataclass(frozen=True, kw_only=True)
class ArmOutcome:
    """The result of one arm.

    `success` is the mean over the examples, from 0 to 1. Latencies are those of successful calls after the warm-up.
    `cost_per_1k` is in US dollars per 1,000 tokens; None where the cost is not known.
    """

    success: float
    p50_ms: int
    p95_ms: int
    cost_per_1k: Decimal | None
    errors: int
    unreadable: int
    """Answers that spec.prompt.parse or the scorer could not read. Each is no success."""
    unreadable_comment: str
    """Why the scorer could not read the first of them; empty where it says nothing."""
    empty: int
    """Answers without a text and without a call of a tool. Each is no success."""
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Blindness:
    """Examples that cannot tell a working model from a broken one.

    `solved`: examples that at least one model solves. `needed`: how many it takes to refuse a model that solves none of
    them; None where the dataset is too small for the margin. `baseline_points`: the least that the baseline must solve,
    in percentage points, where it solves less.
    """

    solved: float
    needed: int | None
    baseline_points: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The comparison over `n` examples. `difference` is candidate minus baseline, from -1 to 1.

    `pairs` is None where examples were asked repeatedly. Latencies are None where no example has answers of both arms.
    """

    n: int
    arms: Mapping[ArmName, ArmOutcome]
    difference: float
    interval: Interval
    alpha: float
    """The one-sided error probability of the interval's lower end; that of the upper end is the request's."""
    verdict: Verdict
    pairs: Pairs | None
    blindness: Blindness | None
    """Why a pass would prove nothing, or None. Then the verdict is not PASS."""
    latency_p50: Ratio | None
    latency_p95: Ratio | None
    distrust: str
    """Why the scores prove nothing, such as those of a judge that does not agree with people; empty where they may."""
    p95_ceiling: CeilingResult | None
    """Whether the candidate is fast enough; None without a limit, and where it answered nothing. A breach is FAIL."""


def compare_arms(
    request: Request,
    questions: Sequence[Question],
    answers: Sequence[Answer],
    scores: Scores,
    *,
    alpha: float | None = None,
    distrust: str = "",
) -> Outcome:
    """The gate's verdict. Both arms have an answer to every question; the unit of the statistics is the example.

    `alpha`: the one-sided error probability of a pass, where it is not that of the request. `distrust`: why the scores
    prove nothing; then the verdict is inconclusive.
    """
    alpha = float(request.alpha) if alpha is None else alpha
    margin = margin_of(request)
    examples = [question.example for question in questions if _has_verdict(request, question, scores)]
    success = {
        arm: [
            fmean(success_of(request, scores[arm, example, k]) for k in range(request.repetitions))
            for example in examples
        ]
        for arm in ARMS
    }
    differences = [c - b for b, c in zip(success["baseline"], success["candidate"], strict=True)]
    pairs = _pairs(differences) if request.repetitions == 1 and differences else None
    interval = _interval(request, differences, alpha=alpha)
    verdict = evaluate(interval, goal=request.goal, margin=margin)
    blindness = _blindness(request, success, differences, alpha=alpha)
    if distrust or (verdict is Verdict.PASS and blindness is not None):
        verdict = Verdict.INCONCLUSIVE
    timed = after_warm_up(request, answers)
    p95_ceiling = candidate_ceiling(request, timed)
    if p95_ceiling is not None and p95_ceiling.ceiling is Ceiling.BREACHED:
        verdict = Verdict.FAIL
    return Outcome(
        n=len(examples),
        arms={
            arm: _arm(
                request,
                arm,
                answers,
                scores,
                success=fmean(success[arm] or [0.0]),
                latencies=[a.latency_ms for a in timed if a.arm == arm and a.error is None],
            )
            for arm in ARMS
        },
        difference=fmean(differences or [0.0]),
        interval=interval,
        alpha=alpha,
        verdict=verdict,
        pairs=pairs,
        blindness=blindness,
        distrust=distrust,
        latency_p50=latency_ratio(request, timed, quantile=0.5),
        latency_p95=latency_ratio(request, timed, quantile=0.95),
        p95_ceiling=p95_ceiling,
    )


def _has_verdict(request: Request, question: Question, scores: Scores) -> bool:
    """Whether the example counts. A judge's missing judgement counts for neither model; all other scorers miss none."""
    return not request.judge_decides or scores["candidate", question.example, 0].value is not None


def _pairs(differences: Sequence[float]) -> Pairs:
    """The pairs of single answers, whose differences are -1, 0 or 1."""
    return Pairs(n=len(differences), gained=differences.count(1.0), lost=differences.count(-1.0))


def _interval(
    request: Request, differences: Sequence[float], *, alpha: float, goal: Goal | None = None
) -> Interval:
    """The confidence interval for the mean of the examples' differences.

    Its lower end is exact for the question of `goal`: a candidate at the threshold is above it at most one time in
    1 / alpha. Without `goal` it is that of the request. The upper end has the error probability of the request.
    """
    above = float(request.alpha)
    if request.judge_decides and not differences:
        return Interval(low=-1.0, high=1.0)
    if request.repetitions == 1:
        margin = margin_of(request) if (goal or request.goal) is Goal.NON_INFERIOR else 0.0
        bound = exact_bound(len(differences), margin=margin, alpha=alpha)
        return tango.interval(_pairs(differences), alpha=above, low_bound=bound)
    low = paired_mean.interval(differences, alpha=alpha).low
    return Interval(low, paired_mean.interval(differences, alpha=above).high)


def margin_of(request: Request) -> float:
    """The margin as a fraction."""
    return float(request.margin) / 100


def min_baseline_points(request: Request) -> Decimal:
    """The least that the baseline must solve: as asked for, otherwise twice the margin and at most half."""
    asked = request.min_baseline_points
    return asked if asked is not None else min(2 * request.margin, _HALF)


def _blindness(
    request: Request,
    success: Mapping[ArmName, Sequence[float]],
    differences: Sequence[float],
    *,
    alpha: float,
) -> Blindness | None:
    """Why these examples do not show whether the candidate works; None where they do.

    A model that solves none of what the two models solve must be refused by these examples. The baseline must solve
    enough that the margin is a small part of it, unless the candidate is better, which needs no margin.
    """
    if request.judge_decides:
        return _blindness_of_judge(request, differences)
    if request.goal is Goal.SUPERIOR:
        return None
    n, margin = len(differences), margin_of(request)
    solved = sum(max(both) for both in zip(*success.values(), strict=True))
    needed = needed_solved(n, margin=margin, alpha=float(request.alpha))
    if needed is None or solved < needed:
        return Blindness(solved=solved, needed=needed)
    least = min_baseline_points(request)
    if fmean(success["baseline"]) * 100 >= float(least):
        return None
    better = _interval(request, differences, alpha=alpha, goal=Goal.SUPERIOR)
    if evaluate(better, goal=Goal.SUPERIOR, margin=margin) is Verdict.PASS:
        return None
    return Blindness(solved=solved, needed=needed, baseline_points=least)


def _blindness_of_judge(request: Request, differences: Sequence[float]) -> Blindness | None:
    """A judge that hardly prefers an answer would say the same of a model that it never prefers.

    What the baseline can do plays no part: the preferences are relative to its answers.
    """
    if request.goal is Goal.SUPERIOR:
        return None
    n, preferred = len(differences), sum(map(abs, differences))
    if n == 0:
        return Blindness(solved=0, needed=None)
    needed = needed_solved(n, margin=margin_of(request), alpha=float(request.alpha))
    return Blindness(solved=preferred, needed=needed) if needed is None or preferred < needed else None


def needed_solved(n: int, *, margin: float, alpha: float) -> int | None:
    """The fewest of `n` examples whose loss proves a model worse than `margin`, a fraction; None if all are too few."""
    quantile = NormalDist().inv_cdf(1 - alpha)
    refused = (k for k in range(n + 1) if tango.score(Pairs(n=n, gained=0, lost=k), -margin) < -quantile)
    return next(refused, None)


def _arm(
    request: Request,
    arm: ArmName,
    answers: Sequence[Answer],
    scores: Scores,
    *,
    success: float,
    latencies: Sequence[float],
) -> ArmOutcome:
    calls = [answer for answer in answers if answer.arm == arm]
    succeeded = [answer for answer in calls if answer.error is None]
    bills = [Decimal(answer.cost_usd) for answer in succeeded if answer.cost_usd is not None]
    # Under a judge a missing score is about both answers, and says nothing about this one.
    unscored = [a for a in succeeded if not request.judge_decides and scores[a.key].value is None]
    empty = sum(answer.is_empty for answer in unscored)
    comments = (scores[answer.key].comment for answer in unscored)
    busy = [(answer.started, answer.started + answer.latency_ms / 1000) for answer in calls]
    return ArmOutcome(
        success=success,
        p50_ms=percentile_ms(latencies, 0.5),
        p95_ms=percentile_ms(latencies, 0.95),
        cost_per_1k=cost.per_1k_tokens(
            billed_usd=sum(bills, Decimal(0)) if bills and len(bills) == len(succeeded) else None,
            usd_per_hour=request.arms[arm].usd_per_hour,
            busy=cost.busy_seconds(busy),
            tokens=sum((a.prompt_tokens or 0) + (a.completion_tokens or 0) for a in succeeded),
        ),
        errors=len(calls) - len(succeeded),
        unreadable=len(unscored) - empty,
        unreadable_comment=next(filter(None, comments), ""),
        empty=empty,
        calls=len(calls),
    )
