"""`python -m modelops.evaluation.check <folder>`: whether an evaluation is possible, before its candidate is served.

The program has the evaluation's own input and selects the questions in the same way, but it calls no model.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from modelops.api.v1alpha1.rollout import EvaluationPlan
from modelops.domain.gates.evaluation_plan import Assumptions, plan_evaluation
from modelops.evaluation.agent.fitness import require_agent
from modelops.evaluation.baseline_use import baseline_use
from modelops.evaluation.cover import cover
from modelops.evaluation.judge.answers import JUDGE_KEY, judge_address
from modelops.evaluation.judge.calibrated import require_calibrated
from modelops.evaluation.judge.fitness import require_fit_judge
from modelops.evaluation.looks import first_look_examples, look_findings, looks_of
from modelops.evaluation.model_client import permanent_refusal, read_api_key
from modelops.evaluation.price_list import NoAnswer, answer_to, listings_asked_once, model_listing
from modelops.evaluation.production.sample import read_sample
from modelops.evaluation.questions import read_questions
from modelops.evaluation.recent_sessions import recent_sessions
from modelops.evaluation.request import ARMS, Arm, ArmName, Request
from modelops.evaluation.similarity import EMBEDDINGS_KEY, embeddings_address
from modelops.workdir import ProgramFailure, WorkDir, run_program

KEY_TIMEOUT_SECONDS = 10.0


@listings_asked_once()
def check_evaluation(work: WorkDir) -> dict[str, Any]:
    """Select the questions, check keys and models; returns the content of `result.json`. Raises ProgramFailure."""
    request = Request.of(work.input())
    findings: list[str] = []
    dataset, questions = read_questions(work, request, findings=findings)
    request = request.for_questions(len(questions))
    looks = looks_of(request, questions)
    for name in ARMS:
        failure = _key_refusal(name, request.arms[name]) or _model_refusal(name, request.arms[name])
        if failure is not None:
            raise failure
    require_agent(request)
    sample = read_sample(work, request, questions)
    production = sample.questions if sample is not None else ()
    findings += sample.findings if sample is not None else ()
    calibrated = require_calibrated(work, request, questions)
    require_fit_judge(request)
    if (failure := _judge_key_refusal(request) or _embeddings_refusal(request)) is not None:
        raise failure
    return {
        "examples": len(questions),
        **cover(request, questions, calibrated=calibrated, production=production),
        "dataset_id": dataset.dataset_id,
        "as_of": dataset.as_of,
        "findings": findings,
        "baseline_use": baseline_use(request).wire(),
        "recent_sessions": recent_sessions(request),
        "look_findings": look_findings(request, looks),
        "plan": _plan(
            request, len(questions), first_look=first_look_examples(looks), production=len(production)
        ).wire(),
    }


def _plan(request: Request, examples: int, *, first_look: int | None, production: int = 0) -> EvaluationPlan:
    """What the evaluation is likely to show.

    `first_look`: examples of the first of two looks. `production`: inputs of production that are asked as well.
    """
    return plan_evaluation(
        Assumptions(
            examples=examples,
            first_look=first_look,
            margin_points=request.margin,
            goal=request.goal,
            alpha=float(request.alpha),
            disagree_points=request.disagree_points,
            judged=request.judge_decides,
            gain_points=request.expected_gain_points,
            concurrency=request.concurrency,
            calls_each=request.repetitions,
            other_calls=len(ARMS) * production,
            call_seconds=request.call_seconds,
        )
    )


def _key_refusal(name: str, arm: Arm) -> ProgramFailure | None:
    """The failure where OpenRouter refuses the arm's key; None where it accepts the key, or does not answer now.

    OpenRouter's list of models is public and proves no key. The request is GET /key, which costs nothing
    (https://openrouter.ai/docs/api-reference/limits). Keys of other services were used before the evaluation.
    """
    if arm.service != "openrouter":
        return None
    return permanent_refusal(name, arm, 401) if _status_at_open_router(name, arm, "/key") == 401 else None


def _judge_key_refusal(request: Request) -> ProgramFailure | None:
    """The failure where OpenRouter refuses the judge's key; None as for an arm."""
    if request.judge is None:
        return None
    judge = Arm(
        model=request.judge.model,
        base_url=judge_address(),
        api_key_env=JUDGE_KEY,
        version=request.judge.model,
        service="openrouter",
        key_name=request.judge.key_name,
    )
    return _key_refusal("judge", judge)


def _embeddings_refusal(request: Request) -> ProgramFailure | None:
    """The failure where similarity is asked for and cannot be measured; None where it can, or nobody answers now."""
    rule = request.similarity
    if rule is None:
        return None
    if not rule.model:
        return ProgramFailure(
            "EmbeddingsMissing",
            "spec.evaluation.similarity needs spec.embeddings of the AgentModel, which names the embedding model: "
            "write it, or leave similarity out",
        )
    if rule.service != "openrouter":
        return None
    if not os.environ.get(EMBEDDINGS_KEY):
        return ProgramFailure(
            "ModelUnauthorized",
            f"{rule.key_name or EMBEDDINGS_KEY} is not set, so {rule.model} of spec.embeddings cannot be called: name "
            "the Secret and its key, or leave spec.evaluation.similarity out",
        )
    address = embeddings_address(rule)
    service = Arm(
        model=rule.model,
        base_url=address,
        api_key_env=EMBEDDINGS_KEY,
        version=rule.model,
        service=rule.service,
        key_name=rule.key_name,
    )
    if failure := _key_refusal("embeddings", service):
        return failure
    try:
        status, _ = model_listing(rule.model, base_url=address, api_key=read_api_key("embeddings", service))
    except NoAnswer:
        return None
    if status != 404:
        return None
    return ProgramFailure(
        "ModelNotFound",
        f"OpenRouter ({address}) has no model {rule.model}, which spec.embeddings of the AgentModel names: correct the "
        "name",
    )


def _model_refusal(name: ArmName, arm: Arm) -> ProgramFailure | None:
    """The failure where OpenRouter does not know the arm's model; None where it knows it, or does not answer now.

    The request is GET /models/<author>/<slug>/endpoints, which costs nothing
    (https://openrouter.ai/docs/api-reference/list-endpoints-for-a-model). A suffix such as `:nitro` chooses among the
    providers of a model and is no model of its own. The models of the author `openrouter` are choices among others.
    """
    if arm.service != "openrouter" or arm.model.startswith("openrouter/"):
        return None
    for model in dict.fromkeys((arm.model, arm.model.partition(":")[0])):
        try:
            status, _ = model_listing(model, base_url=arm.base_url, api_key=read_api_key(name, arm))
        except NoAnswer:
            return None
        if status != 404:
            return None
    return ProgramFailure(
        "ModelNotFound",
        f"OpenRouter ({arm.base_url}) has no model {arm.model}, which is the {name} {arm.version}: correct the name in "
        "spec.baseline of the AgentModel and in the agents' file (Troubleshooting, Correct the baseline)",
    )


def _status_at_open_router(name: str, arm: Arm, path: str) -> int | None:
    """The status of a GET with the arm's key; None without an answer. The body, which may never end, is not read."""
    import requests

    try:
        key = read_api_key(name, arm)
        with answer_to(path, base_url=arm.base_url, api_key=key, seconds=KEY_TIMEOUT_SECONDS) as answer:
            return answer.status_code
    except requests.RequestException:
        return None


if __name__ == "__main__":
    sys.exit(run_program(check_evaluation, Path(sys.argv[1])))
