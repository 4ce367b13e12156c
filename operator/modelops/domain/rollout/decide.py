"""The decision about a Rollout, read top to bottom: the first step that has something to say is the plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from modelops.domain.agentsfile import UneditableAgentsFile
from modelops.domain.plan import Plan
from modelops.domain.rollout import abort, advance, agent_lock, canary, completion, evaluation, gate
from modelops.domain.rollout.actions import RolloutPlan
from modelops.domain.rollout.state import State

STEPS: tuple[Callable[[State], RolloutPlan | None], ...] = (
    completion.is_over,
    completion.adopt_recorded_end,
    abort.abort_if_requested,
    agent_lock.agent_model_is_missing,
    evaluation.evaluation_check_is_running,
    agent_lock.ensure_agent_locked,
    canary.deadline_has_passed,
    advance.finish_intended_write,
    canary.abort_on_breach,
    advance.renew_expiry,
    agent_lock.secret_is_not_usable,
    agent_lock.show_agent_lock,
    gate.await_endpoint,
    gate.ensure_evaluated,
    gate.conclude_evaluate_only,
    canary.ensure_canary_armed,
    canary.await_agents_in_sync,
    canary.rollout_is_paused,
    canary.next_step,
)


def decide(state: State) -> RolloutPlan:
    """What to do now about the rollout."""
    try:
        return first(state)
    except UneditableAgentsFile as error:
        problem = f"{place_of(state)}: {error}"
        return first(replace(state, file=None, file_problem=problem, file_is_live=True))


def place_of(state: State) -> str:
    """Where the agents' file is, for a person."""
    if state.record is not None:
        name, key = state.record.config_map, state.record.config_key
    else:
        reference = state.require_agent_model().spec.config.config_map_ref
        name, key = reference.name, reference.key
    return f"ConfigMap {name}, key {key} (spec.config.configMapRef)"


def first(state: State) -> RolloutPlan:
    """The first step that has something to say."""
    for step in STEPS:
        plan = step(state)
        if plan is not None:
            return plan
    return Plan()
