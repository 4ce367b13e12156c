"""The evaluation program from top to bottom."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from modelops.adapters.langsmith.experiments import Experiment
from modelops.api.v1alpha1.agent_evaluation import EvaluationTarget
from modelops.api.v1alpha1.agentmodel import ParseType
from modelops.api.v1alpha1.scorer import ScorerType
from modelops.domain.gates.verdict import Verdict
from modelops.evaluation.collect_answers import collect_answers
from modelops.evaluation.cover import billed_usd
from modelops.evaluation.experiments import record_experiments
from modelops.evaluation.journal import Answer, AnswerJournal, Key
from modelops.evaluation.judge.answers import JudgeReport, decide_by_judge, judge_address, judge_answers
from modelops.evaluation.judge.calibrated import CalibratedJudge, require_calibrated
from modelops.evaluation.langsmith_feedback import await_feedback
from modelops.evaluation.looks import (
    QuestionsOfLook,
    earlier_results,
    is_open,
    keep_results,
    look_findings,
    look_result,
    looks_of,
)
from modelops.evaluation.model_client import is_final
from modelops.evaluation.outcome import ArmOutcome, Outcome, compare_arms
from modelops.evaluation.production.answers import ask_production
from modelops.evaluation.production.sample import Sample, read_sample
from modelops.evaluation.question import Question
from modelops.evaluation.questions import read_questions
from modelops.evaluation.report.content import report_of
from modelops.evaluation.report.publish import publish_report
from modelops.evaluation.request import ARMS, ArmName, Request
from modelops.evaluation.result import result_document, unclear_ceiling
from modelops.evaluation.scored_answers import Scores, score_answers
from modelops.evaluation.scorers.interface import Score
from modelops.evaluation.similarity import embeddings_address, measure_similarity
from modelops.grammar import counted, verb
from modelops.loopback import assert_address
from modelops.workdir import ProgramFailure, WorkDir

MOST_BASELINE_ERRORS = 0.1
"""Share of failed calls of the baseline above which a comparison with it would prove nothing."""
FEW_EXAMPLES = 50
"""Number of examples below which the result has a finding, because only large differences can be shown."""


def evaluate(work: WorkDir) -> dict[str, Any]:
    """Ask both arms, compare them, record the experiments and publish the report; returns `result.json`.

    Raises ProgramFailure, NotLoopbackError.
    """
    request = Request.of(work.input())
    for name in ARMS:
        assert_address(f"arms.{name}.base_url", request.arms[name].base_url, os.environ)
    if (agent := request.agent_rule) is not None and agent.url:
        assert_address("spec.evaluation.agent.url", agent.url, os.environ)
    if request.judge is not None:
        assert_address("judge", judge_address(), os.environ)
    if request.similarity is not None:
        assert_address("similarity", embeddings_address(request.similarity), os.environ)
    findings: list[str] = []
    dataset, questions = read_questions(work, request, findings=findings)
    request = request.for_questions(len(questions))
    # Before the answers are paid for: the labels may have been changed since the check.
    calibrated = require_calibrated(work, request, questions)
    sample = _sample(work, request, questions, findings=findings)
    seen = _look(work, request, looks_of(request, questions), findings, calibrated=calibrated)
    answers, scores, outcome, judged = seen.answers, seen.scores, seen.outcome, seen.judged
    findings += _findings(request, outcome, answers)
    if judged is None:
        judged = judge_answers(
            request, seen.questions, answers, folder=work.folder, progress=_asking_judge(work)
        )
    findings += judged.findings if judged else ()
    similar = measure_similarity(
        request,
        seen.questions,
        answers,
        folder=work.folder,
        progress=lambda done, total: work.progress("comparing by embeddings", done=done, total=total),
    )
    findings += similar.findings if similar else ()
    production = ask_production(
        work,
        request,
        sample,
        progress=lambda done, total: work.progress("asking the sample of production", done=done, total=total),
    )
    findings += production.findings if production else ()
    work.progress("recording", done=len(answers), total=len(answers))
    experiments: dict[ArmName, Experiment] = {}
    recorded = record_experiments(request, dataset, seen.questions, answers, scores, opened=experiments)
    if "unrecorded" in recorded:
        findings.append(recorded.pop("unrecorded"))
    if request.feedback is not None:
        work.progress("waiting for feedback", done=len(answers), total=len(answers))
    feedback = await_feedback(request, seen.questions, experiments)
    findings += feedback.findings if feedback else ()
    document = result_document(request, outcome, looks=seen.results)
    report = report_of(
        request,
        outcome,
        seen.questions,
        answers,
        scores,
        explanation=document["explain"],
        dataset=f"{dataset.name} as of {dataset.as_of}",
        findings=findings,
        experiment_url=str(recorded.get("experiment_url", "")),
        judge=judged.line if judged else "",
        looks=seen.results,
        production=production.line if production else "",
        similarity=similar.line if similar else "",
        feedback=feedback.lines if feedback else (),
    )
    published = publish_report(report, request)
    if "unpublished" in published:
        findings.append(published.pop("unpublished"))
    if judged is not None and not request.judge_decides:
        document["explain"] = f"{document['explain']} Report only: {judged.line}."
    return {
        **document,
        "judge": judged.result.wire() if judged else None,
        "production": production.result.wire() if production else None,
        **recorded,
        "similarity": similar.result.wire() if similar else None,
        "feedback": [one.wire() for one in feedback.results] if feedback else [],
        "calls_usd": billed_usd(
            request,
            [*answers, *(production.answers if production else ())],
            reports=[
                one for one in (judged, similar, production.judged if production else None) if one is not None
            ],
        ),
        **published,
        "dataset_id": dataset.dataset_id,
        "as_of": dataset.as_of,
        "findings": findings,
    }


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the last look that was taken saw.

    `results`: the results of all looks; empty where one was planned. `judged` is what a judge
    that decides said; None where a scorer decides.
    """

    questions: Sequence[Question]
    answers: Sequence[Answer]
    scores: Scores
    outcome: Outcome
    judged: JudgeReport | None = None
    results: Sequence[dict[str, Any]] = ()


def _asking_judge(work: WorkDir) -> Callable[[int, int], None]:
    return lambda done, total: work.progress("asking the judge", done=done, total=total)


def _look(
    work: WorkDir,
    request: Request,
    looks: Sequence[QuestionsOfLook],
    findings: list[str],
    *,
    calibrated: CalibratedJudge | None,
) -> Seen:
    """Take the looks in order, until one decides. A look that was taken before a crash is not decided again.

    Raises ProgramFailure of the models and of the scorer.
    """
    results = earlier_results(work)
    scores: dict[Key, Score] = {}
    for look in looks[len(results) :]:
        answers = _collect_answers(work, request, look)
        work.progress("judging", done=len(answers), total=len(answers))
        judged: JudgeReport | None = None
        if calibrated is not None:
            judged = decide_by_judge(
                request,
                look.questions,
                answers,
                calibrated=calibrated,
                folder=work.folder,
                progress=_asking_judge(work),
            )
            scores = dict(judged.scores)
        else:
            for part in looks[: look.number]:
                scores |= _scores_of_part(request, part, answers, scores)
        distrust = judged.distrust if judged else ""
        outcome = compare_arms(request, look.questions, answers, scores, alpha=look.alpha, distrust=distrust)
        require_answers_of_candidate(request, outcome, answers)
        results.append(look_result(look, outcome))
        seen = Seen(questions=look.questions, answers=answers, scores=scores, outcome=outcome, judged=judged)
        if look.number == look.of or distrust or not is_open(outcome):
            break
        keep_results(work, results)
    findings += look_findings(request, looks)
    return replace(seen, results=results if len(looks) > 1 else ())


def _scores_of_part(
    request: Request, part: QuestionsOfLook, answers: Sequence[Answer], scores: Scores
) -> Scores:
    """The scores of the answers that this look has and no earlier one.

    Each look is scored alone, also after a restart in the second one: tests of code that run in a Pod of their own are
    found again by a digest of all that are asked for together, and otherwise would run once more.
    """
    asked = {question.example for question in part.questions}
    fresh = [answer for answer in answers if answer.example in asked and answer.key not in scores]
    return score_answers(request, part.questions, fresh)


def _sample(
    work: WorkDir, request: Request, questions: Sequence[Question], *, findings: list[str]
) -> Sample | None:
    """The sample of production. The check has read it, so what is wrong with it now ends no evaluation."""
    try:
        return read_sample(work, request, questions)
    except ProgramFailure as error:
        findings.append(f"recent inputs of production were not asked: {error}")
        return None


def _collect_answers(work: WorkDir, request: Request, look: QuestionsOfLook) -> list[Answer]:
    """All answers, in the order of the questions. Raises ProgramFailure BaselineUnavailable, ModelRefused."""
    questions = look.questions
    calls = len(questions) * request.repetitions
    with AnswerJournal(work.folder / "answers.jsonl") as journal:
        asyncio.run(
            collect_answers(
                request,
                questions,
                journal,
                progress=lambda done, total: work.progress(look.stage, done=done, total=total),
            )
        )
        _require_baseline(request, journal, calls=calls)
        return [
            journal.answers[arm, question.example, repetition]
            for question in questions
            for repetition in range(request.repetitions)
            for arm in ARMS
        ]


def _require_baseline(request: Request, journal: AnswerJournal, *, calls: int) -> None:
    """Raises ProgramFailure where too many calls of the baseline failed: a comparison with it would prove nothing.

    Failures that would come again are never asked for again, because an answer may have been billed although it has no
    text. So they alone decide whether the others are repeated.
    """
    failed = [a for a in journal.answers.values() if a.arm == "baseline" and a.error is not None]
    final = [answer for answer in failed if answer.final or answer.without_text or is_final(answer.status)]
    who = _who(request, "baseline")
    if len(final) > MOST_BASELINE_ERRORS * calls:
        raise ProgramFailure(
            "ModelRefused",
            f"{who} gave no usable answer to {counted(len(final), 'call', of=calls)}, the first with {final[0].error}; "
            f"a comparison with it would prove nothing. {_remedy_for(final)}",
        )
    if len(failed) > MOST_BASELINE_ERRORS * calls:
        # The next start repeats only these calls; the answers of the candidate are kept.
        repeated = {answer.key for answer in failed} - {answer.key for answer in final}
        journal.drop(lambda answer: answer.key in repeated)
        first = next(answer for answer in failed if answer.key in repeated)
        raise ProgramFailure(
            "BaselineUnavailable",
            f"{who} failed on {counted(len(failed), 'call', of=calls)}, the first with {first.error}; a comparison "
            "with it would prove nothing. The failed calls will be repeated",
            transient=True,
        )


def _remedy_for(final: Sequence[Answer]) -> str:
    """What a person can do about these failures of one model."""
    if all(answer.final for answer in final):
        return "Read the agent's log, and correct the agent or spec.evaluation.agent of the AgentModel"
    if all(answer.without_text and answer.finish == "length" for answer in final):
        return (
            "Raise spec.prompt.maxTokens of the AgentModel: a model that reasons before it answers needs tokens for "
            "both"
        )
    return "Correct what the service names, or leave such examples out"


def require_answers_of_candidate(request: Request, outcome: Outcome, answers: Sequence[Answer]) -> None:
    """Raises ProgramFailure CandidateUnavailable where the candidate answered no call.

    A candidate that the numbers show to be worse is rejected by them, with the failed calls as a finding.
    """
    candidate = outcome.arms["candidate"]
    if candidate.errors < candidate.calls or outcome.verdict is Verdict.FAIL:
        return
    first = next(answer.error for answer in answers if answer.arm == "candidate")
    log = "its endpoint" if request.target is EvaluationTarget.MODEL else "the agent, and that of its model"
    raise ProgramFailure(
        "CandidateUnavailable",
        f"{_who(request, 'candidate')} does not answer: all {counted(candidate.calls, 'call')} failed, the first with "
        f"{first}. Read the log of {log}",
    )


def _who(request: Request, name: ArmName) -> str:
    """Who answers for this arm, for a message: the model, or the agent that is asked to use it."""
    arm = request.arms[name]
    model = f"the {name} {arm.version} ({arm.model} at {arm.base_url})"
    return model if request.target is EvaluationTarget.MODEL else f"the agent with {model}"


_READS = (ScorerType.JSON, ScorerType.CUSTOM)
"""Scorers that may find no score for an answer with a text."""


def unscored_answer_findings(request: Request, arm: ArmName, found: ArmOutcome) -> list[str]:
    """How many answers of the arm no scorer saw, and why: its success rate says nothing about them."""
    parse, of = request.prompt.parse, found.calls - found.errors
    readers = (
        [f"spec.prompt.parse ({parse.type.value})"] if parse and parse.type is not ParseType.TEXT else []
    )
    scorer = request.require_scorer()
    readers += [f"scorer {scorer.described}"] if scorer.type in _READS or found.unreadable_comment else []
    readers = readers or ["the scorer in time"]
    what = f"{arm} {request.arms[arm].version}"
    first = f" (the first: {found.unreadable_comment})" if found.unreadable_comment else ""
    findings = []
    if found.unreadable:
        findings.append(
            f"{what}: {counted(found.unreadable, 'answer', of=of)} could not be read by {' and '.join(readers)}, and "
            f"{verb(found.unreadable, 'counts', 'count')} as no success{first}. Read some answers, and correct "
            "spec.prompt of the AgentModel if it does not ask for what the parser reads"
        )
    if found.empty:
        findings.append(
            f"{what}: {counted(found.empty, 'answer', of=of)} {verb(found.empty, 'was', 'were')} empty, and "
            f"{verb(found.empty, 'counts', 'count')} as no success"
        )
    return findings


def _agent_findings(request: Request, answers: Sequence[Answer]) -> list[str]:
    """How many calls of a model the agent makes for an answer, and whether they are longer than planned."""
    findings, rule = [], request.agent_rule
    if rule is None:
        return []
    for arm in ARMS:
        told = [a for a in answers if a.arm == arm and a.model_calls]
        if not told:
            continue
        made = sum(a.model_calls or 0 for a in told)
        findings.append(
            f"{arm}: calls of the model for an answer: {made / len(told):.1f} on average, at most "
            f"{max(a.model_calls or 0 for a in told)}"
        )
        longer = sum((a.prompt_tokens or 0) > rule.max_prompt_tokens * (a.model_calls or 1) for a in told)
        if longer:
            findings.append(
                f"{arm}: {counted(longer, 'answer', of=len(told))} took more tokens than were planned: raise "
                "spec.evaluation.agent.maxPromptTokens of the AgentModel"
            )
    return findings


def _findings(request: Request, outcome: Outcome, answers: Sequence[Answer]) -> list[str]:
    """Facts that a person should know beside the numbers."""
    findings = []
    if request.target is EvaluationTarget.AGENT:
        findings += _agent_findings(request, answers)
    if request.require_scorer().threshold == 0:
        findings.append(
            "spec.evaluation.scorer.threshold is 0, so every answer that can be read and is not empty counts as "
            "a success"
        )
    if outcome.n < FEW_EXAMPLES:
        findings.append(
            f"{counted(outcome.n, 'example')} can show only large differences; use {FEW_EXAMPLES} or more"
        )
    if unclear := unclear_ceiling(request, outcome):
        findings.append(unclear)
    for arm in ARMS:
        calls = [a for a in answers if a.arm == arm]
        failed = [a for a in calls if a.error is not None]
        if failed:
            findings.append(
                f"{arm}: {counted(len(failed), 'call', of=len(calls))} failed and "
                f"{verb(len(failed), 'counts as a failure', 'count as failures')}, the first with {failed[0].error}"
            )
        findings += unscored_answer_findings(request, arm, outcome.arms[arm])
        repeated = sum(a.attempts > 1 for a in calls)
        if repeated:
            findings.append(
                f"{arm}: {counted(repeated, 'call', of=len(calls))} {verb(repeated, 'was', 'were')} repeated "
                "after 429 or 503"
            )
        cut = sum(a.finish == "length" for a in calls)
        if cut:
            findings.append(
                f"{arm}: {counted(cut, 'answer', of=len(calls))} {verb(cut, 'was', 'were')} cut at "
                "spec.prompt.maxTokens"
            )
        models = sorted({a.model for a in calls if a.model})
        if len(models) > 1:
            findings.append(f"{arm}: several models answered: {', '.join(models[:5])}")
        if outcome.arms[arm].cost_per_1k is None:
            findings.append(
                f"{arm}: the cost is not known, because calls have no bill and there is no hourly price"
            )
    return findings
