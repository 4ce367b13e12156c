"""What LangSmith's own evaluators say of both experiments. It is reported and decides nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelops.adapters.langsmith.answers import run_id
from modelops.adapters.langsmith.errors import LangSmithError
from modelops.adapters.langsmith.experiments import Experiment
from modelops.adapters.langsmith.feedback import read_feedback
from modelops.api.v1alpha1.langsmith_feedback import FeedbackResult
from modelops.datasets.download import connect_langsmith
from modelops.evaluation.paired_report import paired_fields
from modelops.evaluation.question import Question
from modelops.evaluation.request import ARMS, ArmName, FeedbackRule, Request
from modelops.grammar import counted, verb

POLL_SECONDS = 2.0

Scores = Mapping[tuple[str, str], float]
"""Scores by run and key."""


@dataclass(frozen=True, kw_only=True)
class FeedbackReport:
    """One result for each key; `lines` are the results in sentences, `findings` what people should know beside them."""

    results: tuple[FeedbackResult, ...]
    lines: tuple[str, ...]
    findings: tuple[str, ...]


def await_feedback(
    request: Request, questions: Sequence[Question], experiments: Mapping[ArmName, Experiment]
) -> FeedbackReport | None:
    """Wait for the feedback, at most as long as asked for; None where nobody asks. No error ends the evaluation.

    Without `experiments` LangSmith does not have the complete answers, so there can be no feedback.
    """
    rule = request.feedback
    if rule is None:
        return None
    found: Scores = {}
    problem = "" if experiments else "the experiments are not recorded"
    if experiments:
        found, problem = _wait(rule, questions, experiments)
    results = tuple(_result(request, key, questions, experiments, found) for key in rule.keys)
    findings = [f"report only, it does not change the verdict: {feedback_line(result)}" for result in results]
    for result in results:
        if result.missing:
            because = problem or f"LangSmith had none after {rule.wait_seconds:g} s"
            advice = (
                ""
                if problem or result.compared
                else f". Is an evaluator with the key {result.key} bound to the dataset?"
            )
            findings.append(
                f"feedback {result.key}: {counted(result.missing, 'example', of=len(questions))} "
                f"{verb(result.missing, 'is', 'are')} missing: {because}{advice}"[:500]
            )
    return FeedbackReport(results=results, lines=tuple(map(feedback_line, results)), findings=tuple(findings))


def _wait(
    rule: FeedbackRule,
    questions: Sequence[Question],
    experiments: Mapping[ArmName, Experiment],
) -> tuple[Scores, str]:
    """The scores that are there at the end, and why the last try to read them failed; empty where it did not."""
    wanted = len(questions) * len(ARMS) * len(rule.keys)
    deadline = time.monotonic() + rule.wait_seconds
    client = connect_langsmith()
    found: dict[tuple[str, str], float] = {}
    problem = ""
    try:
        while True:
            try:
                for arm in ARMS:
                    found |= read_feedback(client, experiments[arm], rule.keys)
                problem = ""
            except LangSmithError as error:
                problem = str(error)
                if not error.transient:
                    return found, problem
            ours = {_run(experiments[arm], question) for arm in ARMS for question in questions}
            if sum(run in ours for run, _ in found) >= wanted or time.monotonic() >= deadline:
                return found, problem
            time.sleep(min(POLL_SECONDS, max(0.0, deadline - time.monotonic())))
    finally:
        client.close(timeout=0)


def _run(experiment: Experiment, question: Question) -> str:
    return str(run_id(experiment.plan, example_id=question.example, repetition=0))


def _result(
    request: Request,
    key: str,
    questions: Sequence[Question],
    experiments: Mapping[ArmName, Experiment],
    found: Scores,
) -> FeedbackResult:
    pairs = []
    for question in questions if experiments else ():
        both = [found.get((_run(experiments[arm], question), key)) for arm in ARMS]
        if both[0] is not None and both[1] is not None:
            pairs.append((both[0], both[1]))
    return FeedbackResult(
        key=key,
        missing=len(questions) - len(pairs),
        **paired_fields(pairs, alpha=float(request.alpha), mean=_shown, difference=_shown),
    )


def feedback_line(result: FeedbackResult) -> str:
    """The result in a sentence."""
    if not result.compared:
        return f"LangSmith's feedback {result.key} compared nothing"
    interval = f" (90 % interval {' to '.join(result.interval)})" if result.interval else ""
    return (
        f"LangSmith's feedback {result.key} on {counted(result.compared, 'example')}: candidate {result.candidate}, "
        f"baseline {result.baseline}, difference {result.difference}{interval}"
    )


def _shown(value: float) -> str:
    """Six digits: the scale is the evaluator's own."""
    return f"{value:.6g}"
