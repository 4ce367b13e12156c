"""The decision about an AgentModel, read top to bottom: the first step that returns a plan decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from modelops.domain.agentmodel import deletion, endpoints, orphans, record_steps, status_report
from modelops.domain.agentmodel.actions import AgentModelPlan
from modelops.domain.agentmodel.state import State
from modelops.domain.agentsfile import UneditableAgentsFile

STEPS: tuple[Callable[[State], AgentModelPlan | None], ...] = (
    deletion.finish_deletion,
    status_report.another_agent_model_owns_the_agent,
    status_report.record_is_not_readable,
    record_steps.ensure_finalizer,
    record_steps.ensure_record,
    record_steps.restore_record_from_statuses,
    orphans.end_deleted_rollout,
    orphans.remove_orphan_routing,
    endpoints.keep_named_endpoints,
    endpoints.endpoints_are_unknown,
    endpoints.ensure_endpoints_created,
    endpoints.wake_candidates_endpoint,
    endpoints.stop_unused_endpoints,
    orphans.settle_orphan_reservations,
)


def decide(state: State) -> AgentModelPlan:
    """What to do now about the agent."""
    try:
        return first_plan(state)
    except UneditableAgentsFile as error:
        reference = state.agent_model.spec.config.config_map_ref
        where = f"ConfigMap {reference.name}, key {reference.key} (spec.config.configMapRef)"
        return first_plan(replace(state, file=None, file_problem=f"{where}: {error}"))


def first_plan(state: State) -> AgentModelPlan:
    """The plan of the first step that returns one; otherwise the status."""
    for step in STEPS:
        plan = step(state)
        if plan is not None:
            return plan
    return status_report.report_and_requeue(state)
