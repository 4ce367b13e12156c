"""The evaluation in LangSmith: one experiment for each arm. The verdict does not depend on it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from modelops.adapters.langsmith.answers import Answer as LoggedAnswer
from modelops.adapters.langsmith.answers import log_answers
from modelops.adapters.langsmith.errors import LangSmithError
from modelops.adapters.langsmith.experiments import (
    Experiment,
    ExperimentPlan,
    comparison_url,
    finish_experiment,
    open_experiment,
)
from modelops.datasets.download import LoadedDataset, connect_langsmith
from modelops.domain import prompt as prompts
from modelops.evaluation.journal import Answer
from modelops.evaluation.question import Question
from modelops.evaluation.request import ARMS, ArmName, Request
from modelops.evaluation.scored_answers import Scores, success_of
from modelops.evaluation.scorers.interface import Score

if TYPE_CHECKING:
    from langsmith import Client


def record_experiments(
    request: Request,
    dataset: LoadedDataset,
    questions: Sequence[Question],
    answers: Sequence[Answer],
    scores: Scores,
    *,
    opened: dict[ArmName, Experiment] | None = None,
) -> dict[str, Any]:
    """Record both experiments; retries for `record_seconds`.

    Returns keys of `result.json`: `recorded`, `experiment_url`, `experiments`. After a failure `recorded` is false, and
    `unrecorded` says why. `opened` gets the experiments that are complete.
    """
    deadline, pause = time.monotonic() + request.record_seconds, 1.0
    client = connect_langsmith()
    try:
        while True:
            try:
                found = _record(client, request, dataset, questions, answers, scores)
                if opened is not None:
                    opened.update(found)
                return _recorded(client, found)
            except LangSmithError as error:
                if not error.transient or time.monotonic() + pause > deadline:
                    return {
                        "recorded": False,
                        "unrecorded": f"LangSmith does not have the complete experiments: {error}",
                    }
            time.sleep(pause)
            pause *= 2
    finally:
        client.close(timeout=0)


def _record(
    client: Client,
    request: Request,
    dataset: LoadedDataset,
    questions: Sequence[Question],
    answers: Sequence[Answer],
    scores: Scores,
) -> dict[ArmName, Experiment]:
    by_example = {question.example: question for question in questions}
    experiments: dict[ArmName, Experiment] = {}
    for arm in ARMS:
        experiment = open_experiment(client, _plan(request, dataset, arm, examples=len(questions)))
        logged = (_logged(request, by_example[a.example], a, scores[a.key]) for a in answers if a.arm == arm)
        log_answers(client, experiment, logged)
        finish_experiment(client, experiment)
        experiments[arm] = experiment
    return experiments


def _recorded(client: Client, experiments: Mapping[ArmName, Experiment]) -> dict[str, Any]:
    return {
        "recorded": True,
        "experiment_url": comparison_url(client, experiments["baseline"], experiments["candidate"]),
        "experiments": {a: {"id": e.id, "name": e.name, "url": e.url} for a, e in experiments.items()},
    }


def _plan(request: Request, dataset: LoadedDataset, arm: ArmName, *, examples: int) -> ExperimentPlan:
    return ExperimentPlan(
        operator_run_id=request.rollout,
        arm=arm,
        agent=request.agent,
        model_version=request.arms[arm].version,
        dataset_id=dataset.dataset_id,
        dataset_version=dataset.as_of,
        example_count=examples,
        repetitions=request.repetitions,
        description=f"{arm} {request.arms[arm].version} of {request.agent}, by ModelOps",
        metadata={
            "prompt_digest": prompts.digest(request.prompt),
            "model": request.arms[arm].model,
            "target": request.target.value,
        },
    )


def _logged(request: Request, question: Question, answer: Answer, score: Score) -> LoggedAnswer:
    return LoggedAnswer(
        example_id=answer.example,
        repetition=answer.repetition,
        inputs={"messages": question.messages, **({"tools": question.tools} if question.tools else {})},
        outputs=_outputs(answer),
        started=answer.started,
        ended=answer.started + answer.latency_ms / 1000,
        scores=_scores(request, score),
        error=answer.error,
        model=answer.model,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        cost_usd=None if answer.cost_usd is None else Decimal(answer.cost_usd),
    )


def _scores(request: Request, score: Score) -> dict[str, float]:
    """The scores of a run. A judge's missing judgement is none: a 0 would count against the model."""
    if request.judge_decides and score.value is None:
        return {}
    scorer = request.require_scorer()
    return {
        scorer.name or scorer.type.value: score.value or 0.0,
        "success": success_of(request, score),
    }


def _outputs(answer: Answer) -> dict[str, Any] | None:
    if answer.text is None:
        return None
    return {"answer": answer.text, **({"tool_calls": list(answer.calls)} if answer.calls else {})}
