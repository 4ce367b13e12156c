"""Starting the endpoints that the record names, and stopping those that are no longer used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from modelops.api.v1alpha1.agentmodel import EndpointRole
from modelops.domain.agentmodel.actions import (
    AgentModelFact,
    AgentModelPlan,
    AgentModelStep,
    CreateEndpoint,
    DeleteEndpoint,
    ResumeEndpoint,
)
from modelops.domain.agentmodel.endpoint_roles import with_roles
from modelops.domain.agentmodel.named_endpoints import is_named_in_file
from modelops.domain.agentmodel.project import project_status
from modelops.domain.agentmodel.state import State
from modelops.domain.facts import UNSEEN
from modelops.domain.plan import Plan, WriteRecord, WriteStatus
from modelops.domain.record import EndpointEntry, Record

MAX_WAIT_FOR_AGENTS_SECONDS = 3600.0
"""An agent process that does not report keeps an endpoint running for this long after its time."""
FIRST_REPORTS_SECONDS = 15.0
"""After this long every agent that runs has reported: agents report every 5 s."""


def endpoints_are_unknown(state: State) -> AgentModelPlan | None:
    """The service is asked only where the record has an endpoint and there is a token."""
    record = state.require_record()
    if not record.endpoints or state.endpoints is not UNSEEN:
        return None
    if state.lacks_hub_token:
        return None
    return Plan(needs=AgentModelFact.ENDPOINTS)


def creation_steps(state: State) -> tuple[AgentModelStep, ...]:
    """Creates each endpoint that the record names with a serving role; first the status and the record name it.

    Both writes fail unless they were decided from the newest copies. An endpoint that was just deleted and is still in
    the record is not created again. Empty where no endpoint is missing.
    """
    record = state.require_record()
    if state.lacks_hub_token:
        return ()
    expired = {entry.name for entry in expired_endpoints(state)}
    missing = [e for e in record.endpoints if state.is_gone(e) and e.name not in expired and not e.is_ending]
    if state.secret_problem:
        missing = [e for e in missing if e.name == undo_endpoint_name(record)]
    if not missing:
        return ()
    return (
        WriteStatus(status=project_status(state)),
        WriteRecord(record=record, purpose="unchanged: proves that it is the newest"),
        *(CreateEndpoint(entry=entry) for entry in missing),
    )


def undo_endpoint_name(record: Record) -> str:
    """The endpoint that an undo goes back to, which needs no other Secret than the Hub's; empty without one."""
    if record.undo is None or record.undo.to not in record.served:
        return ""
    return record.served[record.undo.to].endpoint_name


def resume_steps(state: State) -> tuple[ResumeEndpoint, ...]:
    """Resumes the paused endpoint of an undo, and that of the active candidate.

    That of a candidate only before the rollout's first routing: an endpoint that a person pauses later is left as it
    is. How long the rollout waits for it is bounded by its deadline.
    """
    record = state.require_record()
    if state.lacks_hub_token or state.listed_endpoints is None:
        return ()
    wanted = {undo_endpoint_name(record)}
    rollout = state.active_rollout
    if (
        not state.secret_problem
        and record.active is not None
        and rollout is not None
        and rollout.status.intent is None
    ):
        wanted.add(record.active.candidate.endpoint_name)
    paused = sorted({e.name for e in state.listed_endpoints if e.state == "paused"} & wanted)
    return tuple(ResumeEndpoint(name=name) for name in paused)


def unused_endpoints(state: State) -> list[EndpointEntry]:
    """The expired endpoints that neither the file nor an agent uses."""
    return [entry for entry in expired_endpoints(state) if not endpoint_is_in_use(state, entry)]


def unused_and_listed(state: State) -> list[EndpointEntry]:
    """The unused endpoints that the service has, where the file is known not to name them."""
    if state.listed_endpoints is None or state.entry is None:
        return []
    listed = {endpoint.name for endpoint in state.listed_endpoints}
    return [entry for entry in unused_endpoints(state) if entry.name in listed]


def announce_deletions(state: State) -> AgentModelPlan | None:
    """Before an endpoint is deleted, the record says so, and then the file is read live.

    Protocol, Stopping an endpoint: the write proves that the record is the newest. Whoever writes a version into the
    file reads that in the record, and starts it anew. While the file cannot be read nothing is deleted, because it may
    name the endpoint. A deleted AgentModel waits, too; nothing is written into its file any more.
    """
    running = unused_and_listed(state)
    if not running:
        return None
    is_deleted = state.agent_model.metadata.deletion_timestamp is not None
    announced = [entry.name for entry in running if entry.role != EndpointRole.DELETING.value]
    if announced and not is_deleted:
        return with_roles(state, dict.fromkeys(announced, EndpointRole.DELETING), "deleting")
    return None if state.live else Plan(needs=AgentModelFact.LIVE)


def deletion_steps(state: State) -> tuple[DeleteEndpoint, ...]:
    """Deletes the endpoints that `announce_deletions` has announced."""
    return tuple(DeleteEndpoint(name=entry.name) for entry in unused_and_listed(state))


def forget_stopped_endpoints(state: State) -> AgentModelPlan | None:
    """Removes deleted endpoints from the status, and then from the record, which books their cost.

    Because of this order, an endpoint that only the status names is one that a rebuilt record has lost.
    """
    record = state.require_record()
    gone = [entry for entry in unused_endpoints(state) if state.is_gone(entry)]
    if not gone:
        return None
    stopped = {entry.name for entry in gone}
    changed = record.with_endpoint_cost_booked(*gone, until=state.now).with_(
        endpoints=tuple(entry for entry in record.endpoints if entry.name not in stopped)
    )
    return Plan(
        steps=(
            WriteStatus(status=project_status(replace(state, record=changed))),
            WriteRecord(record=changed, purpose=f"stopped {', '.join(sorted(stopped))}"),
        ),
        requeue_after=0,
    )


def keep_named_endpoints(state: State) -> AgentModelPlan | None:
    """Takes back the deletion of an endpoint that something names by now; one that is gone already is started anew."""
    record, expired = state.require_record(), {entry.name for entry in expired_endpoints(state)}
    active = record.active.candidate.endpoint_name if record.active else ""
    roles = {active: EndpointRole.CANARY, record.stable.endpoint_name: EndpointRole.STABLE}
    needed = {
        entry.name: roles.get(entry.name, EndpointRole.PREVIOUS)
        for entry in record.endpoints
        if entry.role == EndpointRole.DELETING.value and entry.name not in expired
    }
    return with_roles(state, needed, "needed again") if needed else None


def has_expired(entry: EndpointEntry, now: datetime) -> bool:
    """Whether the endpoint no longer serves and its time to stop has come."""
    ends = entry.is_ending or entry.role == EndpointRole.PREVIOUS.value
    return ends and bool(entry.stop_after) and datetime.fromisoformat(entry.stop_after) <= now


def expired_endpoints(state: State) -> tuple[EndpointEntry, ...]:
    """The expired endpoints, without those that stable, the active candidate or the agents' file name."""
    record = state.require_record()
    expired = tuple(entry for entry in record.endpoints if has_expired(entry, state.now))
    if state.agent_model.metadata.deletion_timestamp is not None:
        return expired
    named = {record.stable.endpoint_name, *endpoints_on_record(record)}
    return tuple(e for e in expired if e.name not in named and not is_named_in_file(state, e))


def endpoints_on_record(record: Record) -> Iterator[str]:
    """The endpoints that the active candidate, the undo and the watch name: none of them is deleted."""
    if record.active is not None:
        yield record.active.candidate.endpoint_name
    for version in (record.undo.to if record.undo else "", record.watch.back if record.watch else ""):
        if version in record.served:
            yield record.served[version].endpoint_name


def keep_endpoint_of_stable(state: State) -> AgentModelPlan | None:
    """The stable model's endpoint has the role stable again, after the AgentModel was deleted and created again."""
    record = state.require_record()
    kept = {
        entry.name: EndpointRole.STABLE
        for entry in record.endpoints
        if entry.name == record.stable.endpoint_name and entry.role == EndpointRole.STOPPING.value
    }
    return with_roles(state, kept, "keep the endpoint of stable") if kept else None


def endpoint_is_in_use(state: State, entry: EndpointEntry) -> bool:
    """Whether the file names the endpoint, an agent reports it, or an agent may still use an older routing.

    A Pod that never reports keeps the endpoint running for an hour at most.
    """
    reports = state.reports
    if is_named_in_file(state, entry):
        return True
    if state.listening_seconds < FIRST_REPORTS_SECONDS:
        return True
    if reports is None or reports.expected == 0:
        return False
    if entry.repo in reports.models_in_use and entry.repo not in models_served_elsewhere(state):
        return True
    overdue = (state.now - datetime.fromisoformat(entry.stop_after)).total_seconds()
    return reports.in_sync < reports.expected and overdue <= MAX_WAIT_FOR_AGENTS_SECONDS


def models_served_elsewhere(state: State) -> set[str]:
    """Models that an endpoint serves which runs on in any case, so that their use says nothing about another endpoint.

    Empty for an AgentModel that is deleted, because all of its endpoints are stopped.
    """
    record = state.require_record()
    if state.agent_model.metadata.deletion_timestamp is not None:
        return set()
    return {record.stable.model, record.active.candidate.model if record.active else ""}
