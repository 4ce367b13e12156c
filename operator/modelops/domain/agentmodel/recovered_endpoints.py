"""What statuses still have of a lost record's endpoints, which may still run and bill."""

from __future__ import annotations

from datetime import timedelta

from modelops.api.v1alpha1.agentmodel import EndpointRole, EndpointStatus
from modelops.domain.agentmodel.state import State
from modelops.domain.money import micro
from modelops.domain.record import EndpointEntry, Record
from modelops.domain.rollout.endpoint_cost import HOURS_PER_MONTH, STOP_GRACE_SECONDS


def with_endpoints(state: State, record: Record) -> Record:
    """The record with every endpoint that a status names, because it may bill."""
    stable, recorded = record.stable.endpoint_name, {entry.name for entry in record.endpoints}
    entries = tuple(
        EndpointEntry(
            name=e.name,
            role=EndpointRole.STABLE.value if e.name == stable else role_without_stable(e.role),
            repo=e.model,
            revision=e.revision,
            version="",
            usd_micro_per_hour=micro(e.usd_per_hour),
            instance=state.agent_model.spec.serving.wire(),
            since=(e.since or state.now).isoformat(timespec="seconds"),
            account=e.account,
            stop_after=stop_time(state, e) if e.name != stable else "",
        )
        for e in state.agent_model.status.endpoints
        if e.name not in recorded
    )
    active = endpoint_of_active(state, record)
    if active is not None and all(e.name != active.name for e in (*record.endpoints, *entries)):
        entries = (*entries, active)
    return record.with_(endpoints=(*record.endpoints, *entries))


def endpoint_of_active(state: State, record: Record) -> EndpointEntry | None:
    """The active candidate's endpoint, for a status of the AgentModel that does not name it yet."""
    active = record.active
    if active is None or not active.candidate.endpoint_name:
        return None
    rollout = next((r for r in state.rollouts.values() if r.metadata.uid == active.uid), None)
    if rollout is None:
        return None
    standing = micro(rollout.status.standing_usd_per_month or "0")
    return EndpointEntry(
        name=active.candidate.endpoint_name,
        role=EndpointRole.CANARY.value,
        repo=active.candidate.model,
        revision=active.candidate.revision,
        version=active.candidate.version,
        usd_micro_per_hour=-(-standing // HOURS_PER_MONTH),
        instance=state.agent_model.spec.serving.wire(),
        since=(rollout.status.started_at or state.now).isoformat(timespec="seconds"),
    )


def with_one_owner(state: State, record: Record) -> Record:
    """The record in which the active candidate's endpoint is the only canary; any other canary is stopping."""
    active = record.active.candidate.endpoint_name if record.active else ""
    stop = (state.now + timedelta(seconds=STOP_GRACE_SECONDS)).isoformat(timespec="seconds")

    def with_role(entry: EndpointEntry) -> EndpointEntry:
        if entry.name == active and entry.is_ending:
            return entry.model_copy(update={"role": EndpointRole.CANARY.value, "stop_after": ""})
        if entry.name != active and entry.role == EndpointRole.CANARY.value:
            return entry.model_copy(update={"role": EndpointRole.STOPPING.value, "stop_after": stop})
        return entry

    return record.with_(endpoints=tuple(with_role(entry) for entry in record.endpoints))


def role_without_stable(role: EndpointRole) -> str:
    """The role of an endpoint that does not serve stable now: one that the status calls stable is previous."""
    return EndpointRole.PREVIOUS.value if role is EndpointRole.STABLE else role.value


def stop_time(state: State, endpoint: EndpointStatus) -> str:
    """The time to stop from the status; for the endpoint of the former stable model, the end of the rollback window."""
    if endpoint.stop_after is not None:
        return endpoint.stop_after.isoformat(timespec="seconds")
    if endpoint.role is not EndpointRole.STABLE:
        return ""
    window = timedelta(seconds=state.agent_model.spec.rollback_window_seconds)
    return (state.now + window).isoformat(timespec="seconds")
