"""What a report says, before it has a form: numbers, slices, and the answers where the candidate lost most."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import fmean
from typing import Any

from modelops.datasets.sensitive import find_sensitive
from modelops.domain.gates.tool_calls import said
from modelops.domain.gates.verdict import Verdict
from modelops.evaluation.journal import Answer
from modelops.evaluation.outcome import Outcome
from modelops.evaluation.question import Question
from modelops.evaluation.request import ARMS, ArmName, Request
from modelops.evaluation.result import points, threshold_of
from modelops.evaluation.scored_answers import Scores, success_of

MOST_CASES = 10
MOST_CHARACTERS = 2000
"""Characters of a question or an answer in a report."""
MOST_SLICES, MOST_VALUES, LONGEST_VALUE = 5, 12, 60
"""Metadata keys that are reported, and their values: a key with more values does not group the examples."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One example that the baseline solved better: the question's last message, the expected answer, and both answers.

    A call that failed has its error in the place of the answer. Scores are from 0 to 1; None where there is none.
    """

    example: str
    question: str
    expected: str
    answers: Mapping[ArmName, str]
    scores: Mapping[ArmName, float | None]


@dataclass(frozen=True, kw_only=True)
class Slice:
    """The examples whose metadata has this value. Success is from 0 to 1."""

    key: str
    value: str
    examples: int
    success: Mapping[ArmName, float]


@dataclass(frozen=True, kw_only=True)
class Report:
    """One evaluation. `low`, `high`, `difference` and `margin` are in percentage points.

    `regressions` are the worst ones, at most MOST_CASES; `lost` and `gained` count all examples. `withheld`: how many
    of the worst are not shown, because they hold what looks like a secret or personal data.
    """

    title: str
    verdict: Verdict
    explanation: str
    difference: float
    low: float
    high: float
    margin: float
    numbers: tuple[tuple[str, Mapping[ArmName, str]], ...]
    versions: Mapping[ArmName, str]
    facts: tuple[tuple[str, str], ...]
    findings: tuple[str, ...]
    lost: int
    gained: int
    regressions: tuple[Case, ...]
    withheld: int
    slices: tuple[Slice, ...]
    experiment_url: str

    @property
    def slice_rows(self) -> list[list[str]]:
        """A row of texts for each slice: what it has in common, its size, and each model's success."""
        return [
            [f"{s.key} = {s.value}", str(s.examples), *(f"{s.success[arm] * 100:.0f} %" for arm in ARMS)]
            for s in self.slices
        ]


def report_of(
    request: Request,
    outcome: Outcome,
    questions: Sequence[Question],
    answers: Sequence[Answer],
    scores: Scores,
    *,
    explanation: str,
    dataset: str,
    findings: Sequence[str],
    experiment_url: str,
    judge: str = "",
    looks: Sequence[Mapping[str, Any]] = (),
    production: str = "",
    similarity: str = "",
    feedback: Sequence[str] = (),
) -> Report:
    """The report of this evaluation.

    `explanation` is the result in sentences, `dataset` is its name and version, `judge` what a judge said,
    `looks` what each of two looks found, `production` what became of recent inputs of production, `similarity` what
    embeddings say, and `feedback` what LangSmith's evaluators say.
    """
    success = {
        (arm, question.example): fmean(
            success_of(request, scores[arm, question.example, k]) for k in range(request.repetitions)
        )
        for question in questions
        for arm in ARMS
    }
    changes = {q.example: success["candidate", q.example] - success["baseline", q.example] for q in questions}
    shown, withheld = _worst(request, questions, answers, scores, changes)
    versions = {arm: request.arms[arm].version for arm in ARMS}
    return Report(
        title=f"{request.agent}: {versions['candidate']} beside {versions['baseline']}",
        verdict=outcome.verdict,
        explanation=explanation,
        difference=outcome.difference * 100,
        low=outcome.interval.low * 100,
        high=outcome.interval.high * 100,
        margin=float(request.margin),
        numbers=tuple(_numbers(outcome, answers)),
        versions=versions,
        facts=(
            ("dataset", dataset),
            ("scorer", _scorer(request)),
            ("goal", request.goal.value),
            ("asked", request.answerer),
            ("models", " and ".join(f"{request.arms[arm].model} ({versions[arm]})" for arm in ARMS)),
            *((("judge" if request.judge_decides else "judge (report only)", judge),) if judge else ()),
            *_look_facts(looks),
            *((("recent inputs of production (report only)", production),) if production else ()),
            *((("similarity (report only)", similarity),) if similarity else ()),
            *(("LangSmith's evaluators (report only)", line) for line in feedback),
            ("rollout uid", request.rollout),
        ),
        findings=tuple(findings),
        lost=sum(change < 0 for change in changes.values()),
        gained=sum(change > 0 for change in changes.values()),
        regressions=shown,
        withheld=withheld,
        slices=tuple(_slices(questions, success)),
        experiment_url=experiment_url,
    )


def _look_facts(looks: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """A line for each of two looks; nothing where one was planned."""
    for number, look in enumerate(looks, start=1):
        low, high = look["intervalPoints"]
        yield (
            f"look {number} of 2",
            f"{look['examples']} examples, error {look['errorPercent']} %: {look['verdict']}, difference "
            f"{look['differencePoints']} points, interval {low} to {high}",
        )


def _scorer(request: Request) -> str:
    if request.judge_decides and request.judge is not None:
        return f"judge {request.judge.model}: 1 for the answer that it prefers in both orders, 0.5 for a tie"
    return f"{request.require_scorer().described}, a success from {threshold_of(request)}"


def _numbers(outcome: Outcome, answers: Sequence[Answer]) -> Iterator[tuple[str, Mapping[ArmName, str]]]:
    arms = outcome.arms
    yield "success", {arm: f"{points(arms[arm].success)} %" for arm in ARMS}
    for name, quantile in (("median latency", "p50_ms"), ("95th percentile of latency", "p95_ms")):
        yield name, {arm: f"{getattr(arms[arm], quantile):,} ms" for arm in ARMS}
    costs = {arm: arms[arm].cost_per_1k for arm in ARMS}
    yield (
        "cost of 1,000 tokens",
        {arm: "not known" if (cost := costs[arm]) is None else f"${cost:f}" for arm in ARMS},
    )
    yield "billed for this evaluation", {arm: _billed(answers, arm) for arm in ARMS}
    for name, counter in (
        ("failed calls", "errors"),
        ("unreadable answers", "unreadable"),
        ("empty answers", "empty"),
    ):
        yield name, {arm: f"{getattr(arms[arm], counter)} of {arms[arm].calls}" for arm in ARMS}


def _billed(answers: Sequence[Answer], arm: ArmName) -> str:
    bills = [
        Decimal(answer.cost_usd) for answer in answers if answer.arm == arm and answer.cost_usd is not None
    ]
    return f"${sum(bills):.4f}" if bills else "by the hour of its endpoint"


def _worst(
    request: Request,
    questions: Sequence[Question],
    answers: Sequence[Answer],
    scores: Scores,
    changes: Mapping[str, float],
) -> tuple[tuple[Case, ...], int]:
    """The examples of the largest losses, and how many of these are withheld."""
    given = {answer.key: answer for answer in answers}
    lost = [question for question in questions if changes[question.example] < 0]
    cases: list[Case] = []
    withheld = 0
    for question in sorted(lost, key=lambda question: (changes[question.example], question.example)):

        def change(repetition: int, example: str = question.example) -> float:
            found = {arm: scores[arm, example, repetition].value or 0.0 for arm in ARMS}
            return found["candidate"] - found["baseline"]

        worst = min(range(request.repetitions), key=change)
        both = {arm: given[arm, question.example, worst] for arm in ARMS}
        shown = {
            arm: f"(the call failed: {answer.error})"
            if answer.text is None
            else said(answer.text, answer.calls)
            for arm, answer in both.items()
        }
        asked, expected = _last_message(question), said(question.target, question.calls)
        if any(find_sensitive(text) for text in (asked, expected, *shown.values())):
            withheld += 1
            continue
        cases.append(
            Case(
                example=question.example,
                question=_short(asked),
                expected=_short(expected),
                answers={arm: _short(text) for arm, text in shown.items()},
                scores={arm: scores[arm, question.example, worst].value for arm in ARMS},
            )
        )
        if len(cases) == MOST_CASES:
            break
    return tuple(cases), withheld


def _last_message(question: Question) -> str:
    content = question.messages[-1].get("content") if question.messages else ""
    return content if isinstance(content, str) else json.dumps(content)


def _short(text: str) -> str:
    left = len(text) - MOST_CHARACTERS
    return text if left <= 0 else f"{text[:MOST_CHARACTERS]}\n(and {left:,} characters more)"


def _slices(questions: Sequence[Question], success: Mapping[tuple[ArmName, str], float]) -> Iterator[Slice]:
    """The keys of metadata with few values, the ones that most examples have first."""
    groups: dict[str, dict[str, list[str]]] = {}
    for question in questions:
        for key, value in question.metadata.items():
            values = groups.setdefault(key, {})
            if (
                len(values) <= MOST_VALUES
                and isinstance(value, str | bool | int)
                and len(str(value)) <= LONGEST_VALUE
            ):
                values.setdefault(str(value), []).append(question.example)
    useful = {key: values for key, values in groups.items() if 1 < len(values) <= MOST_VALUES}
    by_size = sorted(useful, key=lambda key: (-sum(map(len, useful[key].values())), key))
    for key in by_size[:MOST_SLICES]:
        for value, examples in sorted(useful[key].items()):
            yield Slice(
                key=key[:LONGEST_VALUE],
                value=value,
                examples=len(examples),
                success={arm: fmean(success[arm, example] for example in examples) for arm in ARMS},
            )
