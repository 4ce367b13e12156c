"""A judge whose preferences are the metric that decides: the scores of both answers, and whether they may decide."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from modelops.domain.gates.kappa import Kappa, cohens_kappa
from modelops.domain.gates.tool_calls import said
from modelops.evaluation.journal import Answer, Key
from modelops.evaluation.judge.calibrated import CalibratedJudge
from modelops.evaluation.judge.calibration import ENOUGH, NAMES, LabelledPair
from modelops.evaluation.judge.pairs import Judgement
from modelops.evaluation.judge.prompt import Pair
from modelops.evaluation.question import Question
from modelops.evaluation.request import ARMS, Request
from modelops.evaluation.scored_answers import readable_answer
from modelops.evaluation.scorers.interface import Score
from modelops.grammar import counted, verb

MOST_MISSING: Final = 0.1
"""Share of the examples without a judgement above which nothing follows: the rest would be a choice of the judge."""
CONTROL_PAIRS: Final = 50
"""Labelled pairs that each evaluation asks about again, at most."""
LEAST_CONTROLLED: Final = 30
MOST_SECONDS: Final = 3600.0
"""How long a judge that decides is asked in all."""
_CONTROL: Final = "label "
_NEITHER = Judgement(preferred=None, missing="neither model gave an answer that can be read")


def asked_pairs(
    request: Request, questions: Sequence[Question], given: Mapping[Key, Answer]
) -> tuple[dict[str, Judgement], list[Pair]]:
    """What follows without the judge, and the pairs that it is asked about.

    An answer that failed, is empty or cannot be read is worse than one that can be. Two of them say nothing about the
    models, so the judgement is missing: two models that both fail must never pass for equal.
    """
    settled: dict[str, Judgement] = {}
    pairs = []
    for question in questions:
        baseline, candidate = (
            readable_answer(request, given[arm, question.example, 0], question) for arm in ARMS
        )
        if baseline is None or candidate is None:
            better = (candidate is not None) - (baseline is not None)
            settled[question.example] = Judgement(preferred=better) if better else _NEITHER
            continue
        asked = "\n\n".join(f"{one.get('role', '')}: {one.get('content') or ''}" for one in question.messages)
        pairs.append(
            Pair(
                key=question.example,
                question=asked,
                expected=said(question.target, question.calls),
                a=said(candidate.text, candidate.calls),
                b=said(baseline.text, baseline.calls),
            )
        )
    return settled, pairs


def control_pairs(request: Request, calibrated: CalibratedJudge) -> list[LabelledPair]:
    """The labelled pairs that are asked about again. The rollout's uid decides, so nobody can choose them before."""

    def order(one: LabelledPair) -> bytes:
        return hashlib.sha256(f"{request.rollout} {one.pair.key}".encode()).digest()

    chosen = sorted(calibrated.labelled, key=order)[:CONTROL_PAIRS]
    return [replace(one, pair=replace(one.pair, key=f"{_CONTROL}{one.pair.key}")) for one in chosen]


def control_kappa(
    control: Sequence[LabelledPair], judgements: Mapping[str, Judgement]
) -> tuple[Kappa | None, int]:
    """The kappa of today's answers to the control pairs, and how many of these have an answer."""
    both = [
        (one.label, NAMES[preferred])
        for one in control
        if (preferred := judgements[one.pair.key].preferred) is not None
    ]
    return (cohens_kappa(both) if both else None), len(both)


def distrust(
    judgements: Mapping[str, Judgement], *, kappa: Kappa | None, controlled: int, first_missing: str
) -> str:
    """Why the judgements decide nothing; empty where they may decide.

    The judge is distrusted where today's kappa is proven to be too low. With 50 pairs a good one is below ENOUGH quite
    often by chance, so the point estimate does not count.
    """
    missing = sum(one.preferred is None for one in judgements.values())
    if missing > MOST_MISSING * len(judgements):
        because = f", most often because of: {first_missing}" if first_missing else ""
        return (
            f"{counted(missing, 'judgement', of=len(judgements))} {verb(missing, 'is', 'are')} missing{because}; above "
            f"{MOST_MISSING:.0%} the rest proves nothing"
        )
    if controlled < LEAST_CONTROLLED:
        return (
            f"the judge answered only {counted(controlled, 'labelled pair')} again, and it takes {LEAST_CONTROLLED} to "
            "see that it still agrees with people"
        )
    if kappa is None or kappa.value is None or kappa.high is None:
        return "the judge gives one and the same answer to all labelled pairs now"
    if kappa.high < ENOUGH:
        return (
            f"the judge does not agree with people any more: asked again about {counted(controlled, 'labelled pair')}, "
            f"its kappa is {kappa.value:.2f} ({kappa.low:.2f} to {kappa.high:.2f}), and it takes {ENOUGH}. Calibrate "
            "it again"
        )
    return ""


def scores_of(answers: Sequence[Answer], judgements: Mapping[str, Judgement]) -> dict[Key, Score]:
    """1 for the preferred answer, 0 for the other one, and 0.5 for both where neither is; None without a judgement."""
    found: dict[Key, Score] = {}
    for answer in answers:
        judgement = judgements[answer.example]
        if judgement.preferred is None:
            found[answer.key] = Score(value=None, comment=judgement.missing)
            continue
        side = judgement.preferred if answer.arm == "candidate" else -judgement.preferred
        found[answer.key] = Score(value=(1 + side) / 2)
    return found
