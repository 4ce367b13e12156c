"""The outcome in `result.json`: numbers as decimal strings, and an explanation for a person."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from modelops.api.v1alpha1.rollout import Goal
from modelops.api.v1alpha1.scorer import ScorerType
from modelops.domain.gates.latency_ceiling import Ceiling, fewest_values
from modelops.domain.gates.power import examples_needed
from modelops.domain.gates.tango import mcnemar_p
from modelops.domain.gates.verdict import Verdict
from modelops.evaluation.latency import Ratio
from modelops.evaluation.outcome import ArmOutcome, Outcome, margin_of
from modelops.evaluation.request import ARMS, Request
from modelops.grammar import counted, verb


def result_document(
    request: Request, outcome: Outcome, *, looks: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """The content of `result.json` except for the experiments in LangSmith.

    `looks`: what each look found, where two were planned.
    """
    pairs = outcome.pairs
    return {
        "n": outcome.n,
        **{arm: _arm(outcome.arms[arm]) for arm in ARMS},
        "difference_points": points(outcome.difference),
        "interval": [points(outcome.interval.low), points(outcome.interval.high)],
        "margin_points": f"{request.margin.normalize():f}",
        "disagreement_points": None
        if pairs is None
        else f"{(pairs.gained + pairs.lost) / pairs.n * 100:.1f}",
        "goal": request.goal.value,
        "scorer": request.require_scorer().described,
        "threshold": threshold_of(request),
        "alpha": str(request.alpha),
        "target": request.target.value,
        "verdict": outcome.verdict.value,
        "recommendation": outcome.verdict.recommendation,
        "discordant": None if pairs is None else {"b": pairs.gained, "c": pairs.lost},
        "mcnemar_p": None if pairs is None else f"{mcnemar_p(pairs):.4f}",
        "latency": {"p50": _ratio(outcome.latency_p50), "p95": _ratio(outcome.latency_p95)},
        "p95_ceiling": None if outcome.p95_ceiling is None else outcome.p95_ceiling.ceiling.value,
        "looks": list(looks),
        "explain": explain(request, outcome, looks=looks),
    }


def explain(request: Request, outcome: Outcome, *, looks: Sequence[Mapping[str, Any]] = ()) -> str:
    """The result and what it proves, in sentences."""
    rates = " and ".join(
        f"{request.arms[arm].version} succeeds on {outcome.arms[arm].success * 100:.1f} %"
        for arm in reversed(ARMS)
    )
    scorer = (
        f"scorer {request.require_scorer().described}, threshold {threshold_of(request)}; {request.answerer}"
    )
    examples = "held-out example"
    if request.judge_decides and request.judge is not None:
        rates, examples = _preferences(request, outcome), "judged example"
        scorer = f"judge {request.judge.model}; {request.answerer}"
    interval = f"{points(outcome.interval.low)} to {points(outcome.interval.high)}"
    confidence = f"{round((1 - 2 * float(request.alpha)) * 100)} % interval {interval}"
    if looks:
        confidence = f"interval {interval}, its lower end with an error of {looks[-1]['errorPercent']} %"
    begin = looks_in_words(looks, distrusted=bool(outcome.distrust))
    return (
        f"{begin}Of {counted(outcome.n, examples)}, {rates}: a difference of "
        f"{outcome.difference * 100:+.1f} points ({confidence}; {scorer}). "
        f"{_failed_calls(request, outcome)}{_conclude(request, outcome)}"
    )


def looks_in_words(looks: Sequence[Mapping[str, Any]], *, distrusted: bool = False) -> str:
    """Which of two looks decided; empty where only one was planned. `distrusted`: the scores prove nothing."""
    if not looks:
        return ""
    if len(looks) == 1:
        if distrusted:
            return "After the first of two looks the judge is not asked any more. "
        return "The first of two looks decides. "
    first = looks[0]
    return (
        f"The first look at {counted(first['examples'], 'example')} decided nothing (difference "
        f"{first['differencePoints']} points, error {first['errorPercent']} %); this is the second, at all of them. "
    )


def _conclude(request: Request, outcome: Outcome) -> str:
    """What decides: a limit that is exceeded, otherwise that the examples show nothing, otherwise the difference."""
    return (
        _breached_ceiling(request, outcome)
        or _distrust(outcome)
        or _blindness(request, outcome)
        or _conclusion(request, outcome)
    )


def _preferences(request: Request, outcome: Outcome) -> str:
    pairs, arms = outcome.pairs, request.arms
    if pairs is None:
        return "none has a judgement"
    ties = pairs.n - pairs.gained - pairs.lost
    return (
        f"the judge prefers {arms.candidate.version} on {pairs.gained} and {arms.baseline.version} on {pairs.lost}, "
        f"with {counted(ties, 'tie')}"
    )


def _distrust(outcome: Outcome) -> str:
    """Why the scores prove nothing; empty where they may."""
    return f"That proves nothing: {outcome.distrust}." if outcome.distrust else ""


def _breached_ceiling(request: Request, outcome: Outcome) -> str:
    """Why the candidate is too slow; empty where it is not."""
    found = outcome.p95_ceiling
    if found is None or found.low is None or found.ceiling is not Ceiling.BREACHED:
        return ""
    least = (
        "more than 5 % of them failed, and a failed call is slower than any limit,"
        if math.isinf(found.low)
        else f"the 95th percentile of the latency is {found.low:.0f} ms or more"
    )
    return (
        f"The candidate is too slow: of its {counted(found.n, 'call')} after the warm-up, {least} with a confidence of "
        f"95 %, and spec.evaluation.maxP95Milliseconds is {request.max_p95_ms}."
    )


def unclear_ceiling(request: Request, outcome: Outcome) -> str:
    """Why it is open whether the candidate is fast enough; empty where it is not open."""
    found = outcome.p95_ceiling
    if found is None or found.ceiling is not Ceiling.UNCLEAR:
        return ""
    what = f"whether the candidate is within spec.evaluation.maxP95Milliseconds {request.max_p95_ms} is open"
    if found.low is None or found.high is None:
        return (
            f"{what}: {counted(found.n, 'call')} after the warm-up {verb(found.n, 'is', 'are')} too few, it takes "
            f"{fewest_values(alpha=float(request.alpha))}"
        )
    high = "no limit, because too many calls failed" if math.isinf(found.high) else f"{found.high:.0f} ms"
    return f"{what}: the 95th percentile of its latency is between {found.low:.0f} ms and {high}"


def threshold_of(request: Request) -> str:
    """The scorer's threshold as a decimal number."""
    return f"{request.require_scorer().threshold.normalize():f}"


def _failed_calls(request: Request, outcome: Outcome) -> str:
    """How many calls of each model failed; empty where none did. Each counts as an answer without success."""
    failed = [
        f"{counted(outcome.arms[arm].errors, 'call', of=outcome.arms[arm].calls)} of {request.arms[arm].version}"
        for arm in reversed(ARMS)
        if outcome.arms[arm].errors
    ]
    return f"Failed and counted as no success: {' and '.join(failed)}. " if failed else ""


def points(fraction: float) -> str:
    """A fraction as percentage points with two decimals."""
    text = f"{fraction * 100:.2f}"
    return "0.00" if text == "-0.00" else text


def _blindness(request: Request, outcome: Outcome) -> str:
    """Why the examples show nothing about the candidate, and what to change; empty where they can."""
    blindness = outcome.blindness
    if outcome.verdict is not Verdict.INCONCLUSIVE or blindness is None:
        return ""
    margin = f"{request.margin.normalize():f}"
    if request.judge_decides:
        needed = "more than there are" if blindness.needed is None else str(blindness.needed)
        return (
            "The judge prefers one of the two answers on only "
            f"{counted(int(blindness.solved), 'example', of=outcome.n)}, and it takes {needed} to tell a working model "
            f"from a broken one with a margin of {margin} points. Read some answers: two models that both fail have "
            "equal answers, too."
        )
    if not any(outcome.arms[arm].success for arm in ARMS):
        found = "Neither model succeeds on any example, so the examples cannot tell a working model from a broken one"
    elif blindness.baseline_points is not None:
        least, fitting = blindness.baseline_points, outcome.arms["baseline"].success * 50
        smaller = f"A margin of at most {fitting:.1f} points would fit. " if fitting >= 1 else ""
        return (
            f"The baseline succeeds on less than {least.normalize():f} % (spec.evaluation.minBaselinePoints, by "
            f"default twice the margin), so a loss of {margin} points would be a large part of what it can do, and "
            f"this does not show that the candidate is better. {smaller}Examples that the baseline can solve show more."
        )
    elif blindness.needed is None:
        return (
            f"With {counted(outcome.n, 'example')} and a margin of {margin} points even a model that solves none of "
            "them would not be refused: more examples are needed."
        )
    else:
        solved = int(blindness.solved)
        found = (
            f"Only {counted(solved, 'example', of=outcome.n)} {verb(solved, 'is', 'are')} solved by either model, so a "
            f"model that solves none of them would be within the margin of {margin} points; it takes {blindness.needed}"
        )
    return f"{found}. Read some answers; {_advice(request)}."


def _advice(request: Request) -> str:
    """What to change where no or few answers succeed."""
    kind, threshold = request.require_scorer().type, threshold_of(request)
    lower = f"lower spec.evaluation.scorer.threshold {threshold}, or correct spec.prompt"
    return {
        ScorerType.EXACT: (
            "scorer exact counts only an answer that equals the expected one: set spec.evaluation.scorer to chrF or "
            "tokenF1 with a threshold such as 0.5 for prose, to json for JSON, or to tests for code with tests"
        ),
        ScorerType.JSON: (
            "scorer json counts only JSON that equals the expected one: correct spec.prompt, or use scorer chrF if the "
            "answers are prose"
        ),
        ScorerType.REGEX: "correct spec.prompt, or the expressions in outputs.pattern (spec.evaluation.scorer regex)",
        ScorerType.TOKEN_F1: lower,
        ScorerType.CHRF: lower,
        ScorerType.TESTS: "correct spec.prompt, or the tests in outputs.tests (spec.evaluation.scorer tests)",
        ScorerType.CUSTOM: lower,
        ScorerType.JUDGE: "correct spec.prompt",
    }[kind]


def _conclusion(request: Request, outcome: Outcome) -> str:
    verdict = outcome.verdict
    margin = f"{request.margin.normalize():f}"
    if request.goal is Goal.SUPERIOR:
        return {
            Verdict.PASS: "The candidate is better.",
            Verdict.FAIL: "The candidate is worse.",
            Verdict.INCONCLUSIVE: "That does not show that the candidate is better; more examples may.",
        }[verdict]
    return {
        Verdict.PASS: f"The candidate is not worse by more than {margin} points.",
        Verdict.FAIL: f"The candidate is worse by more than {margin} points.",
        Verdict.INCONCLUSIVE: (
            f"That leaves open whether the candidate is worse by more than {margin} points; more examples "
            f"or a wider margin would decide.{_examples_needed(request, outcome)}"
        ),
    }[verdict]


def _examples_needed(request: Request, outcome: Outcome) -> str:
    """How many examples it takes where the two models disagree as often as here; empty where that is not known."""
    pairs = outcome.pairs
    if pairs is None:
        return ""
    needed = examples_needed(
        disagree=max(0.05, (pairs.gained + pairs.lost) / pairs.n),
        margin=margin_of(request),
        alpha=float(request.alpha),
    )
    visible = (outcome.interval.high - outcome.interval.low) * 50
    if request.judge_decides:
        return f" So many show only differences above {visible:.1f} points."
    found = (
        f" {counted(pairs.gained, 'example')} {verb(pairs.gained, 'succeeds', 'succeed')} only with the candidate and "
        f"{pairs.lost} only with the baseline; so many show only differences above {visible:.1f} points."
    )
    if needed is None or needed <= pairs.n:
        return found
    return (
        f"{found} At that rate about {counted(round(needed, -1), 'example')} let a candidate that is as good as the "
        "baseline pass nine times in ten."
    )


def _arm(arm: ArmOutcome) -> Mapping[str, Any]:
    price = arm.cost_per_1k
    return {
        "success": f"{arm.success:.4f}",
        "latency_p50_ms": arm.p50_ms,
        "latency_p95_ms": arm.p95_ms,
        "cost_per_1k": None if price is None else f"{price.quantize(Decimal('0.000001')):f}",
        "errors": arm.errors,
        "calls": arm.calls,
    }


def _ratio(ratio: Ratio | None) -> Mapping[str, Any] | None:
    if ratio is None:
        return None
    interval = ratio.interval
    return {
        "ratio": f"{ratio.value:.3f}",
        "interval": None if interval is None else [f"{interval[0]:.3f}", f"{interval[1]:.3f}"],
    }
