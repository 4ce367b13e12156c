"""The evaluation program, read top to bottom."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any

from modelops.evaluation.asking import ask_all
from modelops.evaluation.journal import Answer, Journal
from modelops.evaluation.outcome import Outcome, compare, scores_of
from modelops.evaluation.questions import Question, read_and_choose
from modelops.evaluation.recording import record
from modelops.evaluation.request import ARMS, Request
from modelops.evaluation.result import document
from modelops.loopback import assert_address
from modelops.workdir import ProgramFailure, WorkDir

MOST_BASELINE_ERRORS = 0.1
"""A baseline that fails more often than this is ill, and beating it proves nothing."""
FEW_EXAMPLES = 50


def evaluate(work: WorkDir) -> dict[str, Any]:
    """Read, ask, judge, record; returns what `result.json` says of it. Raises ProgramFailure, NotLoopbackError."""
    request = Request.of(work.input())
    for name in ARMS:
        assert_address(f"arms.{name}.base_url", request.arms[name].base_url, os.environ)
    findings: list[str] = []
    found, questions = read_and_choose(work, request, findings=findings)
    answers = _answers(work, request, questions)
    work.progress("judging", done=len(answers), total=len(answers))
    scores = scores_of(request, questions, answers)
    outcome = compare(request, questions, answers, scores)
    findings += _remarks(outcome, answers)
    work.progress("recording", done=len(answers), total=len(answers))
    recorded = record(request, found, questions, answers, scores)
    if "unrecorded" in recorded:
        findings.append(recorded.pop("unrecorded"))
    return {
        **document(request, outcome),
        **recorded,
        "dataset_id": found.dataset_id,
        "as_of": found.as_of,
        "findings": findings,
    }


def _answers(work: WorkDir, request: Request, questions: Sequence[Question]) -> list[Answer]:
    """All answers, in the order of the questions."""
    with Journal(work.folder / "answers.jsonl") as journal:
        asyncio.run(
            ask_all(
                request,
                questions,
                journal,
                progress=lambda done, total: work.progress("asking", done=done, total=total),
            )
        )
        failed = [a for a in journal.answers.values() if a.arm == "baseline" and a.error is not None]
        if len(failed) > MOST_BASELINE_ERRORS * len(questions) * request.repetitions:
            arm = request.arms.baseline
            # Asked again at the next start: what is known of the candidate is kept.
            journal.forget(lambda answer: answer.arm == "baseline" and answer.error is not None)
            raise ProgramFailure(
                "BaselineUnavailable",
                f"the baseline {arm.version} ({arm.model} at {arm.base_url}) failed on {len(failed)} of "
                f"{len(questions) * request.repetitions} calls, the first with {failed[0].error}; a "
                "comparison with it would prove nothing. It is tried again",
                transient=True,
            )
        return [
            journal.answers[arm, question.example, repetition]
            for question in questions
            for repetition in range(request.repetitions)
            for arm in ARMS
        ]


def _remarks(outcome: Outcome, answers: Sequence[Answer]) -> list[str]:
    """What a person should know beside the numbers."""
    remarks = []
    if outcome.n < FEW_EXAMPLES:
        remarks.append(f"{outcome.n} examples only show large differences; use {FEW_EXAMPLES} or more")
    for arm in ARMS:
        own = [a for a in answers if a.arm == arm]
        failed = [a for a in own if a.error is not None]
        if failed:
            remarks.append(
                f"{arm}: {len(failed)} of {len(own)} calls failed and count as failures, "
                f"the first with {failed[0].error}"
            )
        again = sum(a.attempts > 1 for a in own)
        if again:
            remarks.append(f"{arm}: {again} of {len(own)} calls were repeated after 429 or 503")
        cut = sum(a.finish == "length" for a in own)
        if cut:
            remarks.append(f"{arm}: {cut} of {len(own)} answers were cut at spec.prompt.maxTokens")
        models = sorted({a.model for a in own if a.model})
        if len(models) > 1:
            remarks.append(f"{arm}: several models answered: {', '.join(models[:5])}")
        if outcome.arms[arm].cost_per_1k is None:
            remarks.append(f"{arm}: the cost is not known, neither a bill nor an hourly price")
    return remarks
