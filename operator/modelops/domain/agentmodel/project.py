"""The AgentModel's status, which follows from the record, the agents' file and the agents' reports."""

from __future__ import annotations

from datetime import datetime

from modelops.api.v1alpha1.agentmodel import (
    ActiveRollout,
    AgentModelStatus,
    EndpointKind,
    EndpointRole,
    EndpointStatus,
    LastDrill,
    LastUndo,
    RoutingStatus,
    ServedVersion,
    Spend,
    UndoStatus,
    VersionSummary,
    WatchStatus,
)
from modelops.api.v1alpha1.meta import Condition
from modelops.domain.agentmodel.bootstrap import baseline_target
from modelops.domain.agentmodel.history import with_agent_transitions
from modelops.domain.agentmodel.readiness import drift_reason, first_problem, going_back, stable_drift
from modelops.domain.agentmodel.state import State
from modelops.domain.agentmodel.undo_endpoint import waiting_message
from modelops.domain.agents_config_map import other_file_problem
from modelops.domain.conditions import condition_of, with_condition
from modelops.domain.drift import is_same_baseline
from modelops.domain.kstatus import outlook_before_end, with_kstatus
from modelops.domain.money import dollars, micro
from modelops.domain.reasons import AgentModelReason, RolloutReason
from modelops.domain.record import Record, Target
from modelops.domain.rollout.state import same_target
from modelops.domain.undo import field_undo
from modelops.domain.versions import BASELINE

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
        endpoint_name=target.endpoint_name,
        revision=target.revision,
        since=datetime.fromisoformat(target.since.replace("Z", "+00:00")) if target.since else None,
    )


def stable_in_file(state: State, record: Record) -> ServedVersion | None:
    """Drift 1: what the agents' file names as stable, because agents use it; the record's where it cannot be read.

    The moment between a promotion in the file and its commit is not shown: it would be a write of its own.
    """
    entry, recorded = state.entry, served_version(record.stable)
    found = entry.stable if entry is not None else None
    if found is None or found.model is None or recorded is None or stable_drift(state) is None:
        return recorded
    known = next((t for t in record.served.values() if same_target(found, t)), None)
    if known is not None:
        return served_version(known)
    kinds = {kind.value for kind in EndpointKind}
    return ServedVersion(
        version=found.version or "",
        model=found.model,
        endpoint=EndpointKind(found.endpoint) if found.endpoint in kinds else recorded.endpoint,
        endpoint_url=found.endpoint_url or "",
    )


def undo_status(state: State, record: Record) -> UndoStatus | None:
    """The undo on record, with what it waits for."""
    undo = record.undo
    if undo is None:
        return None
    return UndoStatus(
        to=undo.to,
        by=undo.by,
        accepted_at=datetime.fromisoformat(undo.at),
        message=waiting_message(state),
    )


def last_undo(state: State, record: Record) -> LastUndo | None:
    """What became of spec.undo; None without one, or while it is not over."""
    asked = field_undo(state.agent_model)
    done = record.completed.get(asked.digest) if asked is not None else None
    if asked is None or done is None:
        return None
    return LastUndo(
        id=asked.id,
        to=asked.to,
        outcome=done.outcome,
        message=done.message,
        at=datetime.fromisoformat(done.finished_at) if done.finished_at else None,
    )


def last_drill(record: Record) -> LastDrill | None:
    """The result of the newest rehearsal on record."""
    done = record.last_drill
    if done is None:
        return None
    return LastDrill(
        id=done.id,
        outcome=done.outcome,
        message=done.message,
        at=datetime.fromisoformat(done.at),
        generation=done.generation,
        write_milliseconds=done.write_ms,
        effect_milliseconds=done.effect_ms,
        agents=done.agents,
        unconfirmed=done.unconfirmed,
    )


def watch_status(record: Record) -> WatchStatus | None:
    """The watch on record."""
    watch = record.watch
    if watch is None:
        return None
    return WatchStatus(
        version=watch.version,
        back=watch.back,
        until=datetime.fromisoformat(watch.until),
        rollout=watch.name,
    )


IN_PASSING = frozenset({RolloutReason.Advancing.value, RolloutReason.Promoting.value})
"""Reasons of a rollout that leaves its weight again within seconds, if the agents confirm it: no reason for a write."""


def recent_versions(state: State, record: Record) -> tuple[VersionSummary, ...]:
    """The newest versions of the history, newest first, and the baseline, which was not trained.

    That of a canary is `canary_<n>pct`, as in `modelops registry export`, which reads the weight of this moment.
    """
    recorded = recorded_versions(record)
    active, shown = record.active, share_of_canary(state, record)
    if active is None or not shown:
        return recorded
    canary = (active.candidate.version, active.candidate.model)
    return tuple(
        one.model_copy(update={"deployment_status": shown}) if (one.version, one.model) == canary else one
        for one in recorded
    )


def share_of_canary(state: State, record: Record) -> str:
    """`canary_<n>pct` with the weight at which the rollout rests; empty where the candidate gets no sessions.

    The weight is in the agents' file, not in the record. While a rollout passes through a weight, what was shown before
    stays (docs/designs/002, Status writes are merged). An abort is shown at once.
    """
    active, block = record.active, state.file.entry.routing if state.file else None
    if active is None or block is None or block.salt != active.uid or block.rollout.state == "Aborted":
        return ""
    rollout = state.active_rollout
    if rollout is None or rollout.status.reason not in IN_PASSING:
        return f"canary_{block.weight}pct" if block.weight else ""
    canary = (active.candidate.version, active.candidate.model)
    before = (one for one in state.agent_model.status.versions if (one.version, one.model) == canary)
    return next((one.deployment_status for one in before if one.deployment_status.startswith("canary_")), "")


def recorded_versions(record: Record) -> tuple[VersionSummary, ...]:
    """The versions with their status in the record."""
    trained = tuple(
        VersionSummary(
            version=entry.version,
            model=entry.model,
            deployment_status=entry.deployment_status,
            trained_at=datetime.fromisoformat(entry.trained_at.replace("Z", "+00:00"))
            if entry.trained_at
            else None,
        )
        for entry in reversed(record.history[1 - MAX_VERSIONS :])
    )
    first = record.served.get(BASELINE)
    if first is None or record.entry(BASELINE) is not None:
        return trained
    status = "deployed" if record.stable.version == BASELINE else "superseded"
    baseline = VersionSummary(version=BASELINE, model=first.model, deployment_status=status, trained_at=None)
    return (*trained, baseline)


def endpoint_statuses(state: State, record: Record) -> tuple[EndpointStatus, ...]:
    """The record's endpoints with their state in the service, or the last known one."""
    listed = {e.name: e for e in state.listed_endpoints or ()}
    old = {e.name: e.state for e in state.agent_model.status.endpoints}
    return tuple(
        EndpointStatus(
            name=entry.name,
            role=EndpointRole(entry.role),
            model=entry.repo,
            revision=entry.revision,
            account=entry.account,
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
    drift, other_file = stable_drift(state), other_file_problem(state.agent_model, record)
    if state.file is None or other_file:
        problem_of_file = other_file or state.file_problem
        found.append(("InSync", False, AgentModelReason.ConfigNotUsable, problem_of_file))
    elif (undoing := going_back(state)) is not None:
        found.append(("InSync", False, AgentModelReason.GoingBack, undoing))
    elif drift is not None:
        found.append(("InSync", False, drift_reason(state), drift))
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
        edit = ignored_baseline_edit(state, record)
        found.append(
            ("BaselineIgnored", True, AgentModelReason.BaselineEdited, edit)
            if edit
            else ("BaselineIgnored", False, AgentModelReason.BaselineCurrent, "")
        )
    found += stopped_condition(state)
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
    outlook = outlook_before_end(problem[0]) if problem else None
    return with_kstatus(result, outlook, generation=meta.generation, now=state.now)


def stopped_condition(state: State) -> list[tuple[str, bool, AgentModelReason, str]]:
    """Who stopped the agent, and why. An agent that was never stopped does not have the condition."""
    if state.stop is not None:
        return [("Stopped", True, AgentModelReason.EmergencyStop, state.stop.message)]
    known = condition_of(state.agent_model.status.conditions, "Stopped") is not None
    return [("Stopped", False, AgentModelReason.NotStopped, "")] if known else []


def ignored_baseline_edit(state: State, record: Record) -> str:
    """Why an edit of spec.baseline has no effect, and what has; empty where v1.0.0 is spec.baseline."""
    first, now = record.served.get(BASELINE), baseline_target(state)
    if first is None or is_same_baseline(first, now):
        return ""
    edit = (
        f"spec.baseline names {now.model}, and {BASELINE} in the record is {first.model} ({first.endpoint})"
    )
    if record.stable.version != BASELINE:
        return (
            f"{edit}. {record.stable.version} has replaced it, so the edit has no effect: set spec.baseline back, and "
            "create a Rollout to change the model that serves the agent"
        )
    stable = state.file.entry.stable if state.file else None
    if record.active is not None and same_target(stable, now):
        return f"{edit}. The record follows when Rollout {record.active.name} has ended"
    return (
        f"{edit}. The record follows when the agents' file names the same: set the keys of agents.{record.agent} in "
        f"ConfigMap {record.config_map}, key {record.config_key}, to the values of spec.baseline, or set spec.baseline "
        "back"
    )


def project_status(state: State) -> AgentModelStatus:
    """The status that follows from this state; equal states give equal statuses."""
    old, record = state.agent_model.status, state.record
    if record is None:
        without = old.model_copy(
            update={
                "observed_generation": state.agent_model.metadata.generation,
                "conditions": current_conditions(state),
            }
        )
        return with_agent_transitions(old, without, record=None, now=state.now)
    active = record.active
    block = state.file.entry.routing if state.file else None
    reports = state.reports
    status = AgentModelStatus(
        observed_generation=state.agent_model.metadata.generation,
        stable=stable_in_file(state, record),
        canary=served_version(active.candidate) if active else None,
        previous=served_version(record.previous),
        versions=recent_versions(state, record),
        endpoints=endpoint_statuses(state, record),
        spend=monthly_spend(state, record),
        active_rollout=ActiveRollout(name=active.name, uid=active.uid) if active else None,
        undo=undo_status(state, record),
        last_undo=last_undo(state, record),
        last_drill=last_drill(record),
        watch=watch_status(record),
        routing=RoutingStatus(
            generation=block.generation if block else 0,
            agents_in_sync=reports.in_sync if reports else 0,
            agents_total=reports.expected if reports else 0,
        ),
        conditions=current_conditions(state),
    )
    return with_agent_transitions(old, status, record=record, now=state.now)


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
