"""What an evaluation of an agent is likely to show, before one exists: the plan that its Rollout would have."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from modelops.api.v1alpha1.agent_evaluation import EvaluationTarget
from modelops.api.v1alpha1.rollout import Evaluation, Rollout
from modelops.client import AsyncClient
from modelops.domain.gates.evaluation_plan import (
    EXPECTED_GAIN,
    Assumptions,
    default_margin_points,
    has_poor_chance,
    plan_evaluation,
)
from modelops.domain.gates.two_looks import FEWEST_EXAMPLES, LEAST_FACTOR, MOST_FACTOR
from modelops.domain.rollout.evaluation_scores import is_judged, shown_call_seconds, shown_disagreement
from modelops.tools.agents import find_agent
from modelops.tools.candidates import read_record
from modelops.tools.errors import ToolRefused
from modelops.tools.results import EvaluationChances
from modelops.tools.rollouts import last_rollout


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """What is planned. What is None is as in the agent's last evaluation, and otherwise the default of a Rollout.

    `margin_points`, `gain_points` and `disagree_points` are percentage points, as text.
    """

    agent_name: str
    examples: int | None = None
    margin_points: str | None = None
    gain_points: str | None = None
    disagree_points: str | None = None
    top_up_examples: int | None = None
    """Examples of both looks, where `examples` are those of the first of two."""


async def plan_of_evaluation(client: AsyncClient, request: PlanRequest) -> EvaluationChances:
    """The plan. No examples are read: a Rollout counts those that the candidate was not trained on.

    Raises:
        ToolRefused: an unknown agent, a number that cannot be read, or no number of examples.
    """
    agent = await find_agent(client, request.agent_name)
    record = await read_record(client, agent)
    last = await last_rollout(client, agent)
    spec = last.spec.evaluation if last is not None else Evaluation()
    seen = last.status.evaluation.examples if last is not None and last.status.evaluation is not None else 0
    examples = request.examples or seen
    if not examples:
        raise ToolRefused(
            f"agent {agent.spec.agent} was never evaluated: say with how many examples it would be"
        )
    first, examples = _looks(request, spec, examples)
    langsmith = agent.spec.langsmith
    name = spec.dataset or (langsmith and langsmith.evaluation_dataset) or ""
    margin = request.margin_points or spec.margin_points
    judged = is_judged(spec.scorer or (langsmith.scorer if langsmith else None))
    plan = plan_evaluation(
        Assumptions(
            examples=examples,
            first_look=first,
            margin_points=default_margin_points(examples) if margin is None else _points("margin", margin),
            goal=spec.goal,
            disagree_points=_points(
                "disagreement",
                request.disagree_points
                or shown_disagreement(record, f"ls://{name.removeprefix('ls://')}", judged=judged),
            ),
            judged=judged,
            gain_points=_points(
                "expected gain", request.gain_points or spec.expected_gain_points or str(EXPECTED_GAIN)
            ),
            concurrency=spec.concurrency,
            call_seconds=shown_call_seconds(record, target=spec.target or EvaluationTarget.MODEL),
        )
    )
    return EvaluationChances(
        agent_name=agent.spec.agent,
        examples=plan.examples,
        margin_points=float(plan.margin_points),
        disagreement_points=float(plan.disagreement_points),
        expected_gain_points=float(plan.expected_gain_points),
        pass_if_equal=float(plan.pass_if_equal),
        pass_if_expected_gain=float(plan.pass_if_expected_gain),
        pass_if_half_margin_worse=float(plan.pass_if_half_margin_worse),
        minutes=plan.minutes,
        first_look_examples=plan.looks[0].examples if plan.looks else None,
        second_look_if_equal=float(plan.second_look_if_equal) if plan.second_look_if_equal else None,
        limit_usd=float(agent.spec.budget.approval_above_usd),
        last_estimate_usd=_last_estimate(last),
        is_poor=has_poor_chance(plan),
        message=plan.message,
    )


def _last_estimate(last: Rollout | None) -> float | None:
    """What the agent's last rollout with an evaluation was estimated at."""
    if last is None or last.status.estimate_usd is None:
        return None
    return float(last.status.estimate_usd)


def _looks(request: PlanRequest, spec: Evaluation, examples: int) -> tuple[int | None, int]:
    """The examples of the first of two looks, None where there is one, and those of all looks.

    Where the request names no numbers, both looks are those of the agent's last evaluation.

    Raises ToolRefused where the second look is not 1.5 to 3 times the first.
    """
    both = request.top_up_examples
    if both is None:
        declared = request.examples is None and spec.top_up is not None and spec.max_examples is not None
        return (spec.max_examples, spec.top_up.max_examples) if declared and spec.top_up else (None, examples)
    if examples < FEWEST_EXAMPLES or not LEAST_FACTOR * examples <= both <= MOST_FACTOR * examples:
        raise ToolRefused(
            f"a top-up to {both} examples after {examples}: write 1.5 to 3 times the examples of the first look, which "
            f"must be at least {FEWEST_EXAMPLES}"
        )
    return examples, both


def _points(what: str, text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or not 0 <= value <= 100:
        raise ToolRefused(f"{what} {text!r}: write percentage points from 0 to 100, such as 5")
    return value
