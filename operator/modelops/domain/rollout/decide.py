"""The decision about a Rollout, read top to bottom: the first step that returns a plan decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from modelops.domain.agentsfile import UneditableAgentsFile
from modelops.domain.plan import Plan
from modelops.domain.rollout import (
    abort,
    advance,
    agent_lock,
    canary,
    candidate_endpoint,
    completion,
    deadline,
    evaluate_only,
    evaluation,
    evaluation_result,
    metrics,
    preconditions,
    review,
    stop,
    undo,
)
from modelops.domain.rollout.actions import RolloutPlan
from modelops.domain.rollout.state import State
from modelops.domain.status import with_generation_observed

STEPS: tuple[Callable[[State], RolloutPlan | None], ...] = (
    completion.finish_ended_rollout,
    completion.adopt_recorded_end,
    undo.undo_is_carried_out,
    abort.abort_if_requested,
    stop.abort_if_stopped,
    preconditions.agent_model_is_missing,
    undo.ask_for_undo,
    evaluation.evaluation_check_is_running,
    stop.wait_while_stopped,
    agent_lock.ensure_agent_locked,
    review.release_agent_for_review,
    deadline.enforce_deadline,
    canary.abort_on_breach,
    metrics.measure_metrics,
    advance.abort_if_expired,
    advance.finish_intended_write,
    advance.renew_expiry,
    preconditions.secret_is_not_usable,
    agent_lock.report_agent_lock,
    candidate_endpoint.await_endpoint,
    evaluation_result.ensure_evaluated,
    evaluate_only.conclude_evaluate_only,
    canary.ensure_canary_armed,
    canary.await_agents_in_sync,
    canary.rollout_is_paused,
    canary.take_next_step,
)


def decide(state: State) -> RolloutPlan:
    """What to do now about the rollout."""
    try:
        plan = first_plan(state)
    except UneditableAgentsFile as error:
        problem = f"{agents_file_location(state)}: {error}"
        plan = first_plan(replace(state, file=None, file_problem=problem, file_is_live=True))
    return with_generation_observed(plan, state.rollout.status, state.rollout.metadata)


def agents_file_location(state: State) -> str:
    """Where the agents' file is, for a person."""
    if state.record is not None:
        name, key = state.record.config_map, state.record.config_key
    else:
        reference = state.require_agent_model().spec.config.config_map_ref
        name, key = reference.name, reference.key
    return f"ConfigMap {name}, key {key} (spec.config.configMapRef)"


def first_plan(state: State) -> RolloutPlan:
    """The plan of the first step that returns one."""
    for step in STEPS:
        plan = step(state)
        if plan is not None:
            return plan
    return Plan()
