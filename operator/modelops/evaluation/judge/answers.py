"""The judge's view of an evaluation's answers, as the result, the findings and the report have it."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean

from modelops.api.v1alpha1.judge import JudgeResult
from modelops.domain.established import require_established
from modelops.domain.gates import paired_mean
from modelops.domain.gates.model_families import known_families
from modelops.domain.gates.tool_calls import said
from modelops.evaluation.journal import Answer, Key
from modelops.evaluation.judge import deciding
from modelops.evaluation.judge.calibrated import CalibratedJudge
from modelops.evaluation.judge.calls import JudgeClient, JudgeJournal
from modelops.evaluation.judge.pairs import MOST_SECONDS, Judged, Judgement, judge_pairs, most_frequent_reason
from modelops.evaluation.judge.prompt import PROMPT_DIGEST, Pair
from modelops.evaluation.question import Question
from modelops.evaluation.request import ARMS, JudgeRule, Request
from modelops.evaluation.scorers.interface import Score
from modelops.grammar import counted, verb

JUDGE_KEY = "MODELOPS_JUDGE_KEY"
"""The environment variable with the judge's API key."""
DEFAULT_BASE_URL = "https://openrouter.ai/api/v1"


@dataclass(frozen=True, kw_only=True)
class JudgeReport:
    """`line` is the result in one sentence for people; `findings` are what they should know beside it.

    `billed`: whether every judgement has a bill, so that `result.usd` is all. `scores` are those of the answers where
    the judge decides, and `distrust` says why it must not after all; both are empty where it is only reported.
    """

    result: JudgeResult
    billed: bool
    line: str
    findings: tuple[str, ...]
    scores: Mapping[Key, Score] = field(default_factory=dict)
    distrust: str = ""


def judge_address() -> str:
    """The base URL of OpenRouter."""
    return os.environ.get("OPENROUTER_BASE_URL") or DEFAULT_BASE_URL


def judged_questions(request: Request, rule: JudgeRule, questions: Sequence[Question]) -> list[Question]:
    """The sample that is judged: it follows from the examples' ids, so that a restart takes the same one.

    A judge that decides judges all.
    """
    in_order = sorted(questions, key=lambda q: hashlib.sha256(q.example.encode()).digest())
    return in_order if request.judge_decides else in_order[: rule.max_examples]


def decide_by_judge(
    request: Request,
    questions: Sequence[Question],
    answers: Sequence[Answer],
    *,
    calibrated: CalibratedJudge,
    folder: Path,
    progress: Callable[[int, int], None],
) -> JudgeReport:
    """Ask the judge about every example, and again about some of the pairs that people have labelled."""
    rule = require_established(request.judge, "the judge of the evaluation")
    given = {answer.key: answer for answer in answers}
    settled, pairs = deciding.asked_pairs(request, judged_questions(request, rule, questions), given)
    control = deciding.control_pairs(request, calibrated)
    asked = [*(one.pair for one in control), *pairs]
    judged = _judged(request, rule, asked, folder=folder, progress=progress)
    judgements = {**settled, **{pair.key: judged.judgements[pair.key] for pair in pairs}}
    kappa, controlled = deciding.control_kappa(control, judged.judgements)
    problem = deciding.distrust(
        judgements,
        kappa=kappa,
        controlled=controlled,
        first_missing=most_frequent_reason(judgements.values()),
    )
    now = f"{kappa.value:.2f}" if kappa is not None and kappa.value is not None else ""
    report = _report(request, rule, judged, list(judgements.values()))
    again = f"; asked again about {controlled} of them, it is {now}" if now else ""
    return replace(
        report,
        result=report.result.model_copy(update={"kappa": f"{calibrated.kappa.value:.2f}", "kappa_now": now}),
        findings=(f"judge {rule.model} is {calibrated.described}{again}", *report.findings),
        scores=deciding.scores_of(answers, judgements),
        distrust=problem,
    )


def judge_answers(
    request: Request,
    questions: Sequence[Question],
    answers: Sequence[Answer],
    *,
    folder: Path,
    progress: Callable[[int, int], None],
) -> JudgeReport | None:
    """Ask the judge about a sample of the examples; None where the evaluation has no judge.

    A failed call is no answer: the other one is preferred unasked.
    """
    rule = request.judge
    if rule is None:
        return None
    given = {answer.key: answer for answer in answers}
    chosen = judged_questions(request, rule, questions)
    settled: dict[str, Judgement] = {}
    pairs: list[Pair] = []
    for question in chosen:
        baseline, candidate = (given[arm, question.example, 0] for arm in ARMS)
        if baseline.error is not None or candidate.error is not None:
            preferred = (candidate.error is None) - (baseline.error is None)
            settled[question.example] = Judgement(preferred=preferred)
        else:
            pairs.append(_pair(question, candidate=candidate, baseline=baseline))
    judged = _judged(request, rule, pairs, folder=folder, progress=progress)
    return _report(request, rule, judged, [*settled.values(), *judged.judgements.values()])


def _judged(
    request: Request,
    rule: JudgeRule,
    pairs: Sequence[Pair],
    *,
    folder: Path,
    progress: Callable[[int, int], None],
) -> Judged:
    async def ask() -> Judged:
        client = JudgeClient(
            model=rule.model,
            base_url=judge_address(),
            api_key=os.environ.get(JUDGE_KEY) or "none",
            timeout_seconds=request.timeout_seconds,
        )
        with JudgeJournal(folder / "judge.jsonl", model=rule.model) as journal:
            return await judge_pairs(
                client,
                journal,
                pairs,
                concurrency=request.concurrency,
                progress=progress,
                most_seconds=deciding.MOST_SECONDS if request.judge_decides else MOST_SECONDS,
            )

    return asyncio.run(ask())


def _pair(question: Question, *, candidate: Answer, baseline: Answer) -> Pair:
    asked = "\n\n".join(f"{one.get('role', '')}: {one.get('content') or ''}" for one in question.messages)
    return Pair(
        key=question.example,
        question=asked,
        expected=said(question.target, question.calls),
        a=said(candidate.text or "", candidate.calls),
        b=said(baseline.text or "", baseline.calls),
    )


def _report(
    request: Request, rule: JudgeRule, judged: Judged, judgements: Sequence[Judgement]
) -> JudgeReport:
    said_so = [one.preferred for one in judgements if one.preferred is not None]
    missing = len(judgements) - len(said_so)
    # Of a judge that decides, the gate computes the interval, by exact sums.
    interval = (
        paired_mean.interval(list(map(float, said_so)), alpha=float(request.alpha))
        if len(said_so) > 1 and not request.judge_decides
        else None
    )
    result = JudgeResult(
        model=rule.model,
        prompt_digest=PROMPT_DIGEST,
        compared=len(said_so),
        candidate_preferred=said_so.count(1),
        baseline_preferred=said_so.count(-1),
        ties=said_so.count(0),
        missing=missing,
        difference_points=_points(fmean(said_so)) if said_so else "",
        interval_points=(_points(interval.low), _points(interval.high)) if interval else (),
        usd=f"{judged.usd.normalize():f}",
    )
    line = judge_line(result)
    findings = [line if request.judge_decides else f"report only, it does not change the verdict: {line}"]
    if missing:
        findings.append(
            f"judge {rule.model}: {counted(missing, 'judgement', of=len(judgements))} {verb(missing, 'is', 'are')} "
            f"missing, most often because of: {most_frequent_reason(judgements)}"[:500]
        )
    models = {request.arms[arm].model for arm in ARMS} | ({request.base.repo} - {""})
    if not any(known_families(model) for model in models) or not known_families(rule.model):
        findings.append(
            f"the names of the models do not tell whether the judge {rule.model} is of another family; a judge prefers "
            "answers of its own family"
        )
    return JudgeReport(result=result, billed=judged.billed, line=line, findings=tuple(findings))


def judge_line(result: JudgeResult) -> str:
    """The result in a sentence."""
    if not result.compared:
        return f"judge {result.model} compared nothing"
    interval = f" (90 % interval {' to '.join(result.interval_points)})" if result.interval_points else ""
    return (
        f"judge {result.model} prefers the candidate on {result.candidate_preferred} and the baseline on "
        f"{result.baseline_preferred} of {counted(result.compared, 'example')}, {counted(result.ties, 'tie')}: "
        f"{result.difference_points} points{interval}, for ${result.usd}"
    )


def _points(fraction: float) -> str:
    return f"{fraction * 100 + 0.0:.2f}"
