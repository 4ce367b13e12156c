"""Whether a judge can be asked, before anything is paid: its family, its key, and whether it takes a schema."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from modelops.domain.gates.model_families import shared_family
from modelops.evaluation.judge.answers import JUDGE_KEY, judge_address
from modelops.evaluation.judge.offer import offer_of
from modelops.evaluation.request import ARMS, Request
from modelops.workdir import ProgramFailure

_MOVES = re.compile(r"^openrouter/|(^|[/:-])(auto|latest)$")


def require_fit_judge(request: Request) -> None:
    """Raises ProgramFailure where the evaluation has a judge that could not judge, or not fairly."""
    rule = request.judge
    if rule is None:
        return
    models = {f"the {arm} {request.arms[arm].version}": request.arms[arm].model for arm in ARMS}
    if request.base.repo:
        models["the model that the candidate was trained from"] = request.base.repo
    field, without = _field(request)
    if problem := unfitness(rule.model, models.items()):
        raise ProgramFailure("JudgeUnfit", f"{field} {rule.model}: {problem}")
    key = os.environ.get(JUDGE_KEY)
    named = rule.key_name or JUDGE_KEY
    if not key:
        raise ProgramFailure(
            "ModelUnauthorized",
            f"{named} is not set, so the judge {rule.model} cannot be called: name the Secret and its key, or "
            f"{without}",
        )
    offer = offer_of(rule.model, base_url=judge_address(), api_key=key)
    if offer.exists is False:
        raise ProgramFailure(
            "ModelNotFound",
            f"OpenRouter ({judge_address()}) has no model {rule.model}, which {field} names: correct the name",
        )
    if offer.takes_schema is False:
        raise ProgramFailure(
            "JudgeUnfit",
            f"{field} {rule.model}: no provider of it takes structured outputs, so its answers could not be read: name "
            "another model",
        )


def _field(request: Request) -> tuple[str, str]:
    """The field that names the judge, and how to do without one. A judge that decides is the AgentModel's."""
    if request.judge_decides and request.calibration is not None:
        return request.calibration.field, "choose another scorer"
    return "spec.evaluation.judge.model", "leave spec.evaluation.judge out"


def unfitness(judge: str, others: Iterable[tuple[str, str]]) -> str:
    """Why this model is no judge of the others, each with what it is; empty where it may be one."""
    if _MOVES.search(judge.lower()):
        return "this name stands for other models from day to day, so judgements could not be compared: name one model"
    for who, model in others:
        if family := shared_family(judge, model):
            return (
                f"it is of the family {family}, as is {who} ({model}), and a judge prefers answers of its own family: "
                "name a model of another one"
            )
    return ""
