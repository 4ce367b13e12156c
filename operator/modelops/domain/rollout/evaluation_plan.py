"""The plan of an evaluation, before anything is spent, and whether its chance is good enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelops.api.v1alpha1.baseline_use import BaselineUse
from modelops.api.v1alpha1.rollout import EvaluationPlan, EvaluationStatus, RolloutPhase
from modelops.domain.gates.evaluation_plan import has_poor_chance
from modelops.domain.reasons import RolloutReason
from modelops.domain.rollout.abort import latch_abort
from modelops.domain.rollout.actions import RolloutPlan
from modelops.domain.rollout.evaluation import is_proven, program_state
from modelops.domain.rollout.evaluation_scores import dataset_version, evaluation_choices
from modelops.domain.rollout.forecast import forecast_of
from modelops.domain.rollout.looks import look_findings, looks_with_next
from modelops.domain.rollout.state import State
from modelops.domain.rollout.status import wait_in_phase


def ensure_evaluation_planned(state: State) -> RolloutPlan | None:
    """Writes the plan before anything is spent. Ends a rollout whose chance is poor, unless its spec accepts that."""
    program = program_state(state.check)
    if is_proven(state) or state.rollout.status.evaluated or program is None or program.result is None:
        return None
    found = program.result.get("plan")
    if found is None:
        # The check ran before an upgrade of the operator.
        return None
    plan = EvaluationPlan.model_validate(found)
    record, version = state.require_record(), dataset_version(state, program.result.get("as_of"))
    fewer = map(str, program.result.get("look_findings") or ())
    choices = evaluation_choices(state, margin_points=plan.margin_points)
    planned = EvaluationStatus(
        plan=plan,
        baseline_use=baseline_use_of(program.result),
        dataset_version=version[:300],
        candidates_compared=looks_with_next(record, version),
        findings=tuple(finding[:512] for finding in (*fewer, *look_findings(record, version, choices))),
    )
    if has_poor_chance(plan) and not state.rollout.spec.evaluation.accept_low_power:
        return latch_abort(state, RolloutReason.LowPower, _refusal(plan), evaluation=planned)
    forecast = forecast_of(state)
    if state.rollout.status.evaluation == planned:
        return None
    return wait_in_phase(
        state,
        RolloutPhase.PENDING,
        RolloutReason.EvaluationPlanned,
        f"{plan.message} {forecast.message}" if forecast is not None else plan.message,
        after=0,
        evaluation=planned,
        forecast=forecast,
    )


def baseline_use_of(result: Mapping[str, Any]) -> BaselineUse | None:
    """What the check found of the stable model's use; None where it is of an older operator."""
    found = result.get("baseline_use")
    return BaselineUse.model_validate(found) if found is not None else None


def _refusal(plan: EvaluationPlan) -> str:
    return (
        f"{plan.message} Nothing was spent: create a Rollout with one of these, with the spec.evaluation."
        f"expectedGainPoints that you expect instead of {plan.expected_gain_points}, or with spec.evaluation."
        "acceptLowPower true"
    )
