"""The AgentModel's status: a projection of the record, the file and the agents' reports."""

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
from modelops.domain.agentmodel.state import Observed
from modelops.domain.conditions import with_condition
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.money import dollars, micro
from modelops.domain.reasons import AgentModelReason as Why
from modelops.domain.record import Record, Target
from modelops.domain.rollout.state import same_target

MOST_VERSIONS = 32


def served(target: Target | None) -> ServedVersion | None:
    if target is None:
        return None
    return ServedVersion(
        version=target.version,
        model=target.model,
        endpoint=EndpointKind(target.endpoint),
        endpoint_url=target.endpoint_url,
        since=datetime.fromisoformat(target.since.replace("Z", "+00:00")) if target.since else None,
    )


def versions(record: Record) -> tuple[VersionSummary, ...]:
    """Newest first."""
    return tuple(
        VersionSummary(
            version=entry.version,
            model=entry.model,
            deployment_status=entry.deployment_status,
            trained_at=datetime.fromisoformat(entry.trained_at.replace("Z", "+00:00"))
            if entry.trained_at
            else None,
        )
        for entry in reversed(record.history[-MOST_VERSIONS:])
    )


def endpoints(seen: Observed, record: Record) -> tuple[EndpointStatus, ...]:
    listed = (
        {}
        if seen.endpoints is UNSEEN or isinstance(seen.endpoints, Outage)
        else {e.name: e for e in seen.endpoints}
    )
    old = {e.name: e.state for e in seen.agent_model.status.endpoints}
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


def spend(seen: Observed, record: Record) -> Spend:
    month = f"{seen.now:%Y-%m}"
    return Spend(
        month=month,
        reserved_usd=dollars(record.reserved(month)),
        settled_usd=dollars(record.booked(month)),
        standing_usd=dollars(record.standing(month, seen.now)),
        budget_usd=seen.agent_model.spec.budget.monthly_usd,
    )


def conditions(seen: Observed) -> tuple[Condition, ...]:
    meta, record, spec = seen.agent_model.metadata, seen.record, seen.agent_model.spec
    found: list[tuple[str, bool, Why, str]] = []
    found.append(
        (
            "TargetConflict",
            True,
            Why.TARGET_CONFLICT,
            f"AgentModel {seen.older} already owns {spec.agent} in ConfigMap "
            f"{spec.config.config_map_ref.name}: delete one of them",
        )
        if seen.older
        else ("TargetConflict", False, Why.NO_CONFLICT, "")
    )
    stable = seen.file.entry.stable if seen.file else None
    if seen.file is None:
        found.append(("InSync", False, Why.CONFIG_NOT_USABLE, seen.file_problem))
    elif record is not None and not same_target(stable, record.stable) and record.active is None:
        words = (
            f"the agents' file names {stable.model if stable else 'no model'} "
            f"({stable.version if stable else 'no version'}) as stable, the record {record.stable.model} "
            f"({record.stable.version}): nothing is claimed until they agree"
        )
        found.append(("InSync", False, Why.STABLE_DRIFT, words))
    else:
        found.append(("InSync", True, Why.IN_SYNC, ""))
    if record is not None:
        left = micro(spec.budget.monthly_usd) - record.committed(f"{seen.now:%Y-%m}", seen.now)
        found.append(
            ("BudgetAvailable", True, Why.WITHIN_BUDGET, "")
            if left > 0
            else (
                "BudgetAvailable",
                False,
                Why.BUDGET_EXHAUSTED,
                f"spec.budget.monthlyUSD ${spec.budget.monthly_usd} of AgentModel {meta.name} is spent or reserved: "
                "raise it, or wait for the next month (UTC)",
            )
        )
        first = record.served.get("v1.0.0")
        edited = first is not None and not _same_baseline(first, baseline_target(seen))
        found.append(
            (
                "BaselineIgnored",
                True,
                Why.BASELINE_EDITED,
                "spec.baseline was edited; it changes nothing any more: use a Rollout",
            )
            if edited
            else ("BaselineIgnored", False, Why.BASELINE_CURRENT, "")
        )
    problem = not_ready(seen)
    found.append(
        ("Ready", problem is None, problem[0] if problem else Why.RECONCILED, problem[1] if problem else "")
    )
    result = seen.agent_model.status.conditions
    for kind, holds, reason, message in found:
        result = with_condition(
            result,
            kind,
            holds,
            reason=reason.value,
            message=message,
            generation=meta.generation,
            now=seen.now,
        )
    return result


def _same_baseline(first: Target, now: Target) -> bool:
    return (first.model, first.endpoint, first.endpoint_url) == (now.model, now.endpoint, now.endpoint_url)


def not_ready(seen: Observed) -> tuple[Why, str] | None:
    """The first thing that keeps the AgentModel from being ready."""
    if seen.older:
        return Why.TARGET_CONFLICT, f"AgentModel {seen.older} already owns this agent"
    if seen.record_problem:
        return Why.RECORD_NOT_READABLE, seen.record_problem
    if seen.file is None:
        return Why.CONFIG_NOT_USABLE, seen.file_problem
    if seen.secret_problem:
        return Why.SECRET_NOT_USABLE, seen.secret_problem
    if isinstance(seen.endpoints, Outage):
        return Why.ENDPOINT_SERVICE_UNAVAILABLE, seen.endpoints.message
    return None


def projected(seen: Observed) -> AgentModelStatus:
    """The status that follows from everything; equal observations give equal statuses."""
    old, record = seen.agent_model.status, seen.record
    if record is None:
        return old.model_copy(
            update={
                "observed_generation": seen.agent_model.metadata.generation,
                "conditions": conditions(seen),
            }
        )
    active = record.active
    block = seen.file.entry.routing if seen.file else None
    reports = seen.reports
    return AgentModelStatus(
        observed_generation=seen.agent_model.metadata.generation,
        stable=served(record.stable),
        canary=served(active.candidate) if active else None,
        previous=served(record.previous),
        versions=versions(record),
        endpoints=endpoints(seen, record),
        spend=spend(seen, record),
        active_rollout=ActiveRollout(name=active.name, uid=active.uid) if active else None,
        routing=RoutingStatus(
            generation=block.generation if block else 0,
            agents_in_sync=reports.in_sync if reports else 0,
            agents_total=reports.expected if reports else 0,
        ),
        conditions=conditions(seen),
    )


def differs(new: AgentModelStatus, old: AgentModelStatus) -> bool:
    """Whether it is worth a write.

    Counts of agents, generations, endpoint states and what grows with time ride along with other changes.
    """

    def core(status: AgentModelStatus) -> AgentModelStatus:
        spend = status.spend
        return status.model_copy(
            update={
                "routing": None,
                "spend": spend.model_copy(update={"standing_usd": "0"}) if spend else None,
                "endpoints": tuple(e.model_copy(update={"state": ""}) for e in status.endpoints),
            }
        )

    return core(new) != core(old)
