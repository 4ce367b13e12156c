"""The AgentModel's status, which follows from the record, the agents' file and the agents' reports."""

from __future__ import annotations

from datetime import datetime

from modelops.api.v1alpha1.agentmodel import (
    ActiveRollout,
    AgentModelStatus,
    EndpointKind,
    EndpointRole,
    EndpointStatus,
    RoutingStatus,
    ServedVersion,
    Spend,
    VersionSummary,
)
from modelops.api.v1alpha1.meta import Condition
from modelops.domain.agentmodel.bootstrap import baseline_target
from modelops.domain.agentmodel.state import State
from modelops.domain.conditions import with_condition
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.money import dollars, micro
from modelops.domain.reasons import AgentModelReason
from modelops.domain.record import ActiveRollout as LockedRollout
from modelops.domain.record import Record, Target
from modelops.domain.rollout.state import same_target
from modelops.domain.versions import release_version

MAX_VERSIONS = 32


def served_version(target: Target | None) -> ServedVersion | None:
    """The target as the status shows it."""
    if target is None:
        return None
    return ServedVersion(
        version=target.version,
        model=target.model,
        endpoint=EndpointKind(target.endpoint),
        endpoint_url=target.endpoint_url,
        since=datetime.fromisoformat(target.since.replace("Z", "+00:00")) if target.since else None,
    )


def recent_versions(record: Record) -> tuple[VersionSummary, ...]:
    """The newest versions of the history, newest first."""
    return tuple(
        VersionSummary(
            version=entry.version,
            model=entry.model,
            deployment_status=entry.deployment_status,
            trained_at=datetime.fromisoformat(entry.trained_at.replace("Z", "+00:00"))
            if entry.trained_at
            else None,
        )
        for entry in reversed(record.history[-MAX_VERSIONS:])
    )


def endpoint_statuses(state: State, record: Record) -> tuple[EndpointStatus, ...]:
    """The record's endpoints with their state in the service, or the last known one."""
    listed = (
        {}
        if state.endpoints is UNSEEN or isinstance(state.endpoints, Outage)
        else {e.name: e for e in state.endpoints}
    )
    old = {e.name: e.state for e in state.agent_model.status.endpoints}
    return tuple(
        EndpointStatus(
            name=entry.name,
            role=EndpointRole(entry.role),
            model=entry.repo,
            revision=entry.revision,
            state=listed[entry.name].state if entry.name in listed else old.get(entry.name, ""),
            usd_per_hour=dollars(entry.usd_micro_per_hour),
            since=datetime.fromisoformat(entry.since),
            stop_after=datetime.fromisoformat(entry.stop_after) if entry.stop_after else None,
        )
        for entry in record.endpoints
    )


def monthly_spend(state: State, record: Record) -> Spend:
    """What this month (UTC) has cost and what is reserved."""
    month = f"{state.now:%Y-%m}"
    return Spend(
        month=month,
        reserved_usd=dollars(record.reserved(month)),
        settled_usd=dollars(record.booked(month)),
        standing_usd=dollars(record.running_endpoint_cost(month, state.now)),
        budget_usd=state.agent_model.spec.budget.monthly_usd,
    )


def current_conditions(state: State) -> tuple[Condition, ...]:
    """The conditions with their reasons; one that has not changed keeps its time."""
    meta, record, spec = state.agent_model.metadata, state.record, state.agent_model.spec
    found: list[tuple[str, bool, AgentModelReason, str]] = []
    found.append(
        (
            "TargetConflict",
            True,
            AgentModelReason.TargetConflict,
            f"AgentModel {state.older} already owns {spec.agent} in ConfigMap "
            f"{spec.config.config_map_ref.name}: delete one of them",
        )
        if state.older
        else ("TargetConflict", False, AgentModelReason.NoConflict, "")
    )
    if state.file is None:
        found.append(("InSync", False, AgentModelReason.ConfigNotUsable, state.file_problem))
    elif drift := stable_drift(state):
        found.append(("InSync", False, AgentModelReason.StableDrift, drift))
    else:
        found.append(("InSync", True, AgentModelReason.InSync, ""))
    if record is not None:
        left = micro(spec.budget.monthly_usd) - record.committed(f"{state.now:%Y-%m}", state.now)
        found.append(
            ("BudgetAvailable", True, AgentModelReason.WithinBudget, "")
            if left > 0
            else (
                "BudgetAvailable",
                False,
                AgentModelReason.BudgetExhausted,
                f"spec.budget.monthlyUSD ${spec.budget.monthly_usd} of AgentModel {meta.name} is spent or reserved: "
                "raise it, or wait for the next month (UTC)",
            )
        )
        first = record.served.get("v1.0.0")
        edited = first is not None and not is_same_baseline(first, baseline_target(state))
        found.append(
            (
                "BaselineIgnored",
                True,
                AgentModelReason.BaselineEdited,
                "spec.baseline was edited, but it has no effect after the record is created: use a Rollout",
            )
            if edited
            else ("BaselineIgnored", False, AgentModelReason.BaselineCurrent, "")
        )
    problem = first_problem(state)
    found.append(
        (
            "Ready",
            problem is None,
            problem[0] if problem else AgentModelReason.Reconciled,
            problem[1] if problem else "",
        )
    )
    result = state.agent_model.status.conditions
    for kind, holds, reason, message in found:
        result = with_condition(
            result,
            kind,
            holds,
            reason=reason.value,
            message=message,
            generation=meta.generation,
            now=state.now,
        )
    return result


def stable_drift(state: State) -> str:
    """How the agents' file differs from the record in what is stable; empty where they agree, or during a promotion.

    Protocol, Drift 1: then agents are served another model than STABLE says.
    """
    record, stable = state.record, state.file.entry.stable if state.file else None
    if record is None or state.file is None or same_target(stable, record.stable):
        return ""
    if record.active is not None and same_target(stable, promoted_candidate(record.active)):
        return ""
    return (
        f"the agents' file names {stable.model if stable else 'no model'} "
        f"({stable.version if stable else 'no version'}) as stable, the record {record.stable.model} "
        f"({record.stable.version}): no rollout starts until they agree"
    )


def promoted_candidate(active: LockedRollout) -> Target:
    """The candidate as a promotion writes it into the file; the address of its endpoint is not compared."""
    version = release_version(active.candidate.version)
    return active.candidate.model_copy(update={"version": version, "endpoint_url": ""})


def is_same_baseline(first: Target, now: Target) -> bool:
    return (first.model, first.endpoint, first.endpoint_url) == (now.model, now.endpoint, now.endpoint_url)


def first_problem(state: State) -> tuple[AgentModelReason, str] | None:
    """The reason and message of the first problem that keeps the AgentModel from being ready."""
    if state.older:
        return AgentModelReason.TargetConflict, f"AgentModel {state.older} already owns this agent"
    if state.record_problem:
        return AgentModelReason.RecordNotReadable, state.record_problem
    if state.file is None:
        return AgentModelReason.ConfigNotUsable, state.file_problem
    drift = stable_drift(state)
    if drift:
        return AgentModelReason.StableDrift, drift
    if state.mount_problem:
        return AgentModelReason.ConfigNotUsable, state.mount_problem
    if state.secret_problem:
        return AgentModelReason.SecretNotUsable, state.secret_problem
    if isinstance(state.endpoints, Outage):
        return AgentModelReason.EndpointServiceUnavailable, state.endpoints.message
    return None


def project_status(state: State) -> AgentModelStatus:
    """The status that follows from this state; equal states give equal statuses."""
    old, record = state.agent_model.status, state.record
    if record is None:
        return old.model_copy(
            update={
                "observed_generation": state.agent_model.metadata.generation,
                "conditions": current_conditions(state),
            }
        )
    active = record.active
    block = state.file.entry.routing if state.file else None
    reports = state.reports
    return AgentModelStatus(
        observed_generation=state.agent_model.metadata.generation,
        stable=served_version(record.stable),
        canary=served_version(active.candidate) if active else None,
        previous=served_version(record.previous),
        versions=recent_versions(record),
        endpoints=endpoint_statuses(state, record),
        spend=monthly_spend(state, record),
        active_rollout=ActiveRollout(name=active.name, uid=active.uid) if active else None,
        routing=RoutingStatus(
            generation=block.generation if block else 0,
            agents_in_sync=reports.in_sync if reports else 0,
            agents_total=reports.expected if reports else 0,
        ),
        conditions=current_conditions(state),
    )


def differs(new: AgentModelStatus, old: AgentModelStatus) -> bool:
    """Whether the status must be written.

    Counts of agents, generations, endpoint states and the standing cost alone are no reason for a write.
    """

    def relevant_part(status: AgentModelStatus) -> AgentModelStatus:
        spend = status.spend
        return status.model_copy(
            update={
                "routing": None,
                "spend": spend.model_copy(update={"standing_usd": "0"}) if spend else None,
                "endpoints": tuple(e.model_copy(update={"state": ""}) for e in status.endpoints),
            }
        )

    return relevant_part(new) != relevant_part(old)
