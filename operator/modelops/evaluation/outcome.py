"""From the answers to a verdict: scores, pairs, the gate, latency and cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import fmean

from modelops.domain import prompt as prompts
from modelops.domain.gates import cost, paired_mean, tango
from modelops.domain.gates.scoring import score
from modelops.domain.gates.tango import Interval, Pairs
from modelops.domain.gates.verdict import Verdict, evaluate
from modelops.evaluation.journal import Answer
from modelops.evaluation.latency import Ratio, percentile_ms, ratio
from modelops.evaluation.questions import Question
from modelops.evaluation.request import ARMS, ArmName, Request

Scores = Mapping[tuple[ArmName, str, int], float]


@dataclass(frozen=True, kw_only=True)
class ArmOutcome:
    """One side: mean success (0 to 1), latency of the calls that worked, and cost where it is known."""

    success: float
    p50_ms: int
    p95_ms: int
    cost_per_1k: Decimal | None
    errors: int
    calls: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The comparison over `n` examples. `pairs` and McNemar's p are there for a single repetition only."""

    n: int
    arms: Mapping[ArmName, ArmOutcome]
    difference: float
    interval: Interval
    verdict: Verdict
    pairs: Pairs | None
    latency_p50: Ratio | None
    latency_p95: Ratio | None


def scores_of(
    request: Request, questions: Sequence[Question], answers: Sequence[Answer]
) -> dict[tuple[ArmName, str, int], float]:
    """The score of every answer; a call that failed, or an answer that cannot be parsed, has 0."""
    targets = {question.example: question.target for question in questions}
    scored = {}
    for answer in answers:
        value = 0.0
        if answer.text is not None:
            try:
                said = prompts.parse(request.prompt, answer.text)
                value = score(request.scorer.type, answer=said, target=targets[answer.example])
            except prompts.AnswerError:
                value = 0.0
        scored[answer.key] = value
    return scored


def compare(
    request: Request, questions: Sequence[Question], answers: Sequence[Answer], scores: Scores
) -> Outcome:
    """The gate's verdict on complete answers: the unit is the example, not the call."""
    threshold, alpha = float(request.scorer.threshold), float(request.alpha)
    examples = [question.example for question in questions]
    success = {
        arm: [
            fmean(scores[arm, example, k] >= threshold for k in range(request.repetitions))
            for example in examples
        ]
        for arm in ARMS
    }
    differences = [c - b for b, c in zip(success["baseline"], success["candidate"], strict=True)]
    pairs = None
    if request.repetitions == 1:
        pairs = Pairs(n=len(examples), gained=differences.count(1.0), lost=differences.count(-1.0))
        found = tango.interval(pairs, alpha=alpha)
    else:
        found = paired_mean.interval(differences, alpha=alpha)
    return Outcome(
        n=len(examples),
        arms={arm: _arm(request, arm, answers, success=fmean(success[arm])) for arm in ARMS},
        difference=fmean(differences),
        interval=found,
        verdict=evaluate(found, goal=request.goal, margin=float(request.margin_points) / 100),
        pairs=pairs,
        latency_p50=_latency(request, answers, quantile=0.5),
        latency_p95=_latency(request, answers, quantile=0.95),
    )


def _arm(request: Request, arm: ArmName, answers: Sequence[Answer], *, success: float) -> ArmOutcome:
    own = [answer for answer in answers if answer.arm == arm]
    worked = [answer for answer in own if answer.error is None]
    bills = [Decimal(answer.cost_usd) for answer in worked if answer.cost_usd is not None]
    calls = [(answer.started, answer.started + answer.latency_ms / 1000) for answer in own]
    return ArmOutcome(
        success=success,
        p50_ms=percentile_ms([answer.latency_ms for answer in worked], 0.5),
        p95_ms=percentile_ms([answer.latency_ms for answer in worked], 0.95),
        cost_per_1k=cost.per_1k_tokens(
            billed_usd=sum(bills, Decimal(0)) if bills and len(bills) == len(worked) else None,
            usd_per_hour=request.arms[arm].usd_per_hour,
            busy=cost.busy_seconds(calls),
            tokens=sum((a.prompt_tokens or 0) + (a.completion_tokens or 0) for a in worked),
        ),
        errors=len(own) - len(worked),
        calls=len(own),
    )


def _latency(request: Request, answers: Sequence[Answer], *, quantile: float) -> Ratio | None:
    """Over the examples that both answered; of several repetitions their mean."""
    times: dict[str, dict[ArmName, list[float]]] = {}
    for answer in answers:
        if answer.error is None:
            times.setdefault(answer.example, {}).setdefault(answer.arm, []).append(answer.latency_ms)
    both = [times[example] for example in sorted(times) if len(times[example]) == len(ARMS)]
    if not both:
        return None
    baseline, candidate = ([fmean(own[arm]) for own in both] for arm in ARMS)
    return ratio(
        baseline,
        candidate,
        quantile=quantile,
        alpha=float(request.alpha),
        seed=f"{request.rollout} {quantile}",
    )
