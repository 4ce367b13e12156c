"""The decision about an AgentModel, read top to bottom: the first step that returns a plan decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from modelops.domain.agentmodel import (
    deletion,
    drift_policy,
    drill,
    endpoints,
    orphans,
    record_steps,
    service_calls,
    status_report,
    undo,
    watch,
)
from modelops.domain.agentmodel.actions import AgentModelPlan
from modelops.domain.agentmodel.state import State
from modelops.domain.agents_config_map import location_of
from modelops.domain.agentsfile import UneditableAgentsFile
from modelops.domain.plan import Action

STEPS: tuple[Callable[[State], AgentModelPlan | None], ...] = (
    deletion.finish_deletion,
    status_report.another_agent_model_owns_the_agent,
    status_report.record_is_not_readable,
    record_steps.ensure_finalizer,
    record_steps.ensure_record,
    record_steps.restore_record_from_statuses,
    record_steps.follow_file_of_spec,
    undo.record_mark,
    undo.carry_out_undo,
    record_steps.adopt_corrected_baseline,
    endpoints.keep_endpoint_of_stable,
    orphans.end_deleted_rollout,
    orphans.remove_orphan_routing,
    undo.accept_undo_of_spec,
    watch.watch_promotion,
    drift_policy.follow_drift_policy,
    drill.rehearse_rollback,
    endpoints.keep_named_endpoints,
    endpoints.endpoints_are_unknown,
    endpoints.forget_stopped_endpoints,
    endpoints.announce_deletions,
    service_calls.call_services,
)


def decide(state: State) -> AgentModelPlan:
    """What to do now about the agent."""
    try:
        return first_plan(state)
    except UneditableAgentsFile as error:
        location = location_of(state.agent_model, state.record)
        where = f"ConfigMap {location.config_map}, key {location.key} (spec.config.configMapRef)"
        unwritable = state.file.entry if state.file else None
        problem = f"{where}: {error}"
        return first_plan(replace(state, file=None, file_problem=problem, unwritable_entry=unwritable))


def first_plan(state: State) -> AgentModelPlan:
    """The plan of the first step that returns one; otherwise the status."""
    for step in STEPS:
        plan = step(state)
        if plan is not None:
            return with_status_shown(state, plan)
    return status_report.report_and_requeue(state)


def with_status_shown(state: State, plan: AgentModelPlan) -> AgentModelPlan:
    """The plan. Where it only stops what is left, the status is written first: that may fail again and again."""
    stops = [step for step in plan.steps if isinstance(step, Action) and step.independent]
    is_deleted = state.agent_model.metadata.deletion_timestamp is not None
    if not stops or len(stops) < len(plan.steps) or is_deleted:
        return plan
    return replace(plan, steps=(*status_report.report_and_requeue(state).steps, *plan.steps))
