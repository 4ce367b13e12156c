"""What both arms make of the production sample. It comes after the verdict, and cannot change or end that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from modelops.api.v1alpha1.agent_evaluation import ProductionArm, ProductionResult
from modelops.domain.gates import cost
from modelops.evaluation.collect_answers import collect_answers
from modelops.evaluation.journal import Answer, AnswerJournal
from modelops.evaluation.judge.answers import JudgeReport, judge_answers
from modelops.evaluation.latency import percentile_ms
from modelops.evaluation.measured_latency import after_warm_up
from modelops.evaluation.production.sample import Sample
from modelops.evaluation.question import Question
from modelops.evaluation.request import ARMS, ArmName, Request
from modelops.evaluation.scored_answers import readable_answer
from modelops.grammar import counted
from modelops.workdir import ProgramFailure, WorkDir


@dataclass(frozen=True, kw_only=True)
class Production:
    """The result, the answers that it is of, what the judge said, and the result in a sentence."""

    result: ProductionResult
    answers: tuple[Answer, ...]
    judged: JudgeReport | None
    line: str
    findings: tuple[str, ...]


def ask_production(
    work: WorkDir, request: Request, sample: Sample | None, *, progress: Callable[[int, int], None]
) -> Production | None:
    """Ask both arms the sample; None where the evaluation has none. A refusal of a model is a finding."""
    if sample is None:
        return None
    request = request.model_copy(update={"repetitions": 1})
    left_out, findings = sum(sample.left_out.values()), sample.findings
    if not sample.questions:
        findings.append("no recent run of production could be asked")
        result = ProductionResult(left_out=left_out)
        return Production(
            result=result, answers=(), judged=None, line="nothing was asked", findings=tuple(findings)
        )
    with AnswerJournal(work.folder / "production.jsonl") as journal:
        try:
            asyncio.run(collect_answers(request, sample.questions, journal, progress=progress))
        except ProgramFailure as error:
            findings.append(f"the sample of production was not asked to its end: {error}")
        answers = tuple(journal.answers.values())
    asked = [
        question
        for question in sample.questions
        if all((arm, question.example, 0) in {a.key for a in answers} for arm in ARMS)
    ]
    both = [a for a in answers if a.example in {question.example for question in asked}]
    folder = work.folder / "production"
    folder.mkdir(exist_ok=True)
    judged = judge_answers(request, asked, both, folder=folder, progress=progress) if asked else None
    result = ProductionResult(
        runs=len(asked),
        left_out=left_out,
        baseline=_arm(request, "baseline", asked, both),
        candidate=_arm(request, "candidate", asked, both),
        judge=judged.result if judged else None,
    )
    line = _line(result, judged)
    findings.append(f"report only, it does not change the verdict: {line}")
    return Production(result=result, answers=answers, judged=judged, line=line, findings=tuple(findings))


def _arm(
    request: Request, arm: ArmName, questions: Sequence[Question], answers: Sequence[Answer]
) -> ProductionArm:
    by_example = {question.example: question for question in questions}
    calls = [answer for answer in answers if answer.arm == arm]
    succeeded = [answer for answer in calls if answer.error is None]
    timed = [a.latency_ms for a in after_warm_up(request, calls) if a.error is None]
    bills = [Decimal(a.cost_usd) for a in succeeded if a.cost_usd is not None]
    price = cost.per_1k_tokens(
        billed_usd=sum(bills, Decimal(0)) if bills and len(bills) == len(succeeded) else None,
        usd_per_hour=request.arms[arm].usd_per_hour,
        busy=cost.busy_seconds([(a.started, a.started + a.latency_ms / 1000) for a in calls]),
        tokens=sum((a.prompt_tokens or 0) + (a.completion_tokens or 0) for a in succeeded),
    )
    return ProductionArm(
        errors=len(calls) - len(succeeded),
        unreadable=sum(readable_answer(request, a, by_example[a.example]) is None for a in succeeded),
        latency_p50_milliseconds=percentile_ms(timed, 0.5),
        latency_p95_milliseconds=percentile_ms(timed, 0.95),
        usd_per_1000_tokens="0" if price is None else f"{price.quantize(Decimal('0.000001')):f}",
    )


def _line(result: ProductionResult, judged: JudgeReport | None) -> str:
    parts = [
        f"{name}: {counted(arm.errors, 'call')} failed, {counted(arm.unreadable, 'answer')} unreadable, median "
        f"{arm.latency_p50_milliseconds:,} ms"
        for name, arm in (("baseline", result.baseline), ("candidate", result.candidate))
        if arm is not None
    ]
    said = f"; {judged.line}" if judged is not None else ""
    return f"of {counted(result.runs, 'recent input')} of production, {'; '.join(parts)}{said}"
