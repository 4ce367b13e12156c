"""The decision about an AgentModel, read top to bottom: the first step that has something to say is the plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from modelops.api.v1alpha1.agentmodel import AgentModelStatus, EndpointRole
from modelops.api.v1alpha1.meta import ConditionStatus
from modelops.api.v1alpha1.names import FINALIZER
from modelops.domain.agentmodel.actions import (
    AgentModelFact,
    AgentModelPlan,
    AgentModelStep,
    CreateEndpoint,
    DeleteEndpoint,
    SettleOrphanedAttempt,
)
from modelops.domain.agentmodel.bootstrap import first_record, with_statuses
from modelops.domain.agentmodel.project import differs, projected
from modelops.domain.agentmodel.state import State
from modelops.domain.agentsfile import RoutingBlock, UneditableAgentsFile, edit
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.plan import Announce, Plan, WriteFile, WriteFinalizers, WriteRecord, WriteStatus
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import Active, Completed, EndpointEntry, Record
from modelops.domain.rollout.state import same_target, stable_keys
from modelops.domain.versions import release_version

LOOK_SECONDS = 60.0
ENDPOINT_POLL_SECONDS = 5.0
ESCAPE_SECONDS = 3600.0
GOOD_WHEN_TRUE = frozenset({"Ready", "InSync", "BudgetAvailable"})
HEARD_SECONDS = 15.0
"""After this long every agent that lives has reported: they do so every 5 s."""


def finish_deletion(state: State) -> AgentModelPlan | None:
    """What bills is stopped first; what agents use is not. After an hour it lets go and says what may still bill."""
    meta = state.agent_model.metadata
    if meta.deletion_timestamp is None:
        return None
    kept = tuple(name for name in meta.finalizers if name != FINALIZER)
    if FINALIZER not in meta.finalizers:
        return Plan()
    leaving = (WriteFinalizers(finalizers=kept),)
    state = state if state.record is not None else remembered(state)
    record = state.require_record()
    if not (record.endpoints or record.active):
        return Plan(steps=leaving)
    if (state.now - meta.deletion_timestamp).total_seconds() > ESCAPE_SECONDS:
        names = ", ".join(entry.name for entry in record.endpoints)
        message = (
            f"LEAK: endpoints {names} may still run and bill; delete them by hand when no agent uses them"
        )
        return Plan(steps=(Announce(reason="Leaked", message=message, warning=True), *leaving))
    if record.active is not None:
        return abort_without_rollout(state, record, record.active, f"AgentModel {meta.name} was deleted")
    if any(entry.role != EndpointRole.STOPPING.value for entry in record.endpoints):
        stopping = stopped_now(record.endpoints, state.now)
        return Plan(
            steps=(
                WriteRecord(record=record.with_(endpoints=stopping), purpose="the AgentModel is deleted"),
            ),
            requeue_after=0,
        )
    return (
        endpoints_are_unknown(state)
        or stop_unused_endpoints(state)
        or Plan(requeue_after=ENDPOINT_POLL_SECONDS)
    )


def remembered(state: State) -> State:
    """A deletion whose record went first, as where the namespace is deleted: nothing can be written there any more.

    What the statuses name, and the service still has, is stopped as if it were on record; it is booked nowhere.
    """
    record = first_record(state)
    bill = record.endpoints
    if state.endpoints is not UNSEEN and not isinstance(state.endpoints, Outage):
        listed = {endpoint.name for endpoint in state.endpoints}
        bill = tuple(entry for entry in bill if entry.name in listed)
    return replace(state, record=record.with_(active=None, endpoints=stopped_now(bill, state.now)))


def stopped_now(entries: tuple[EndpointEntry, ...], now: datetime) -> tuple[EndpointEntry, ...]:
    """The endpoints on their way out, due at once."""
    ends = {"role": EndpointRole.STOPPING.value, "stop_after": now.isoformat(timespec="seconds")}
    return tuple(entry.model_copy(update=ends) for entry in entries)


def another_owns_the_target(state: State) -> AgentModelPlan | None:
    return shown(state, None) if state.older else None


def record_is_not_readable(state: State) -> AgentModelPlan | None:
    return shown(state, LOOK_SECONDS) if state.record_problem else None


def ensure_finalizer(state: State) -> AgentModelPlan | None:
    meta = state.agent_model.metadata
    if FINALIZER in meta.finalizers:
        return None
    return Plan(steps=(WriteFinalizers(finalizers=(*meta.finalizers, FINALIZER)),), requeue_after=0)


def ensure_record(state: State) -> AgentModelPlan | None:
    """A new agent's record, or a deleted one rebuilt. Not before the file could be read: stable is what it names.

    Made from what is, not from what the watches have delivered: what an old copy of a status does not name would
    be forgotten.
    """
    if state.record is not None:
        return None
    if state.file is None:
        return shown(state, LOOK_SECONDS / 4)
    if not state.live:
        return Plan(needs=AgentModelFact.LIVE)
    return Plan(steps=(WriteRecord(record=first_record(state), purpose="first record"),), requeue_after=0)


def restore_record_from_statuses(state: State) -> AgentModelPlan | None:
    """Statuses follow from the record. One that says more was under way while the record was rebuilt or restored.

    Our own may only be an old copy: the write proves that it is not.
    """
    record = state.require_record()
    whole = with_statuses(state, record)
    if whole == record:
        return None
    if not state.live:
        return Plan(needs=AgentModelFact.LIVE)
    return Plan(
        steps=(
            WriteStatus(status=state.agent_model.status),
            WriteRecord(record=whole, purpose="as the statuses remember"),
        ),
        requeue_after=0,
    )


def end_deleted_rollout(state: State) -> AgentModelPlan | None:
    """Recovery 8: the record names a rollout that no object stands for: Retreat 2 to 4."""
    record = state.require_record()
    if record.active is None or record.active.uid in state.unreadable:
        return None
    if any(r.metadata.uid == record.active.uid for r in state.rollouts.values()):
        return None
    return abort_without_rollout(state, record, record.active, "the Rollout was deleted")


def abort_without_rollout(state: State, record: Record, active: Active, what: str) -> AgentModelPlan:
    """Retreat 2 to 4. Whether routing was ever intended is not known here, so the tombstone is always written."""
    if not active.aborting and not same_target(stable_keys(record.stable), active.candidate):
        fence = record.with_(active=active.model_copy(update={"aborting": True}))
        return Plan(steps=(WriteRecord(record=fence, purpose=f"fence {active.name}"),), requeue_after=0)
    if state.file is None and not state.file_missing:
        return shown(state, ENDPOINT_POLL_SECONDS)
    steps: list[AgentModelStep] = []
    if state.file is not None:
        block, stable = state.file.entry.routing, state.file.entry.stable
        candidate = active.candidate.model_copy(
            update={"version": release_version(active.candidate.version), "endpoint_url": ""}
        )
        uncommitted = same_target(stable, candidate) and not same_target(stable, record.stable)
        ours = block is not None and block.salt == active.uid
        if uncommitted or block is None or not ours or block.rollout.state != "Aborted":
            generation = max(block.generation if block else 0, int(state.now.timestamp() * 1000)) + 1
            tombstone = RoutingBlock.aborted(
                uid=active.uid, step=block.rollout.step if block and ours else 0, generation=generation
            )
            text = (
                edit(state.file.text, record.agent, stable=stable_keys(record.stable), routing=tombstone)
                if uncommitted
                else edit(state.file.text, record.agent, routing=tombstone)
            )
            steps.append(
                WriteFile(text=text, purpose=f"abort: Rollout {active.name} is gone", restores_stable=True)
            )
    done = Completed(
        kind="Rollout",
        name=active.name,
        uid=active.uid,
        outcome=RolloutReason.Deleted.value,
        version=active.candidate.version,
        message=f"{what}: everything is back on stable",
        finished_at=state.now.isoformat(timespec="seconds"),
    )
    stop = state.now.isoformat(timespec="seconds")
    released_record = record.with_(
        active=None,
        completed={**record.completed, active.digest: done},
        endpoints=tuple(
            e.model_copy(update={"role": EndpointRole.STOPPING.value, "stop_after": stop})
            if e.role == EndpointRole.CANARY.value
            else e
            for e in record.endpoints
        ),
        reservations={k: v for k, v in record.reservations.items() if k != f"{active.uid}/1"},
    )
    steps.append(WriteRecord(record=released_record, purpose=f"release {active.name}"))
    return Plan(steps=tuple(steps), requeue_after=0)


def remove_orphan_routing(state: State) -> AgentModelPlan | None:
    """Recovery 8: a block with weight whose rollout does not hold the agent is taken down, whoever wrote it.

    The record may be an old copy from before the claim: writing it unchanged fails unless it is the newest.
    """
    record, file = state.require_record(), state.file
    block = file.entry.routing if file else None
    if file is None or block is None or block.weight == 0:
        return None
    if record.active is not None and record.active.uid == block.salt == block.rollout.uid:
        return None
    generation = max(block.generation, int(state.now.timestamp() * 1000)) + 1
    tombstone = RoutingBlock.aborted(uid=block.salt, step=block.rollout.step, generation=generation)
    message = f"routing of {block.salt} with weight {block.weight} has no rollout that holds the agent: back to stable"
    return Plan(
        steps=(
            WriteRecord(record=record, purpose="unchanged: proves that it is the newest"),
            WriteFile(text=edit(file.text, record.agent, routing=tombstone), purpose=message),
            Announce(reason="OrphanRouting", message=message, warning=True),
        ),
        requeue_after=0,
    )


def settle_orphan_reservations(state: State) -> AgentModelPlan | None:
    """Of a run that is gone: the engine closes its attempt, stops and lists its jobs, and then it is booked."""
    record = state.require_record()
    uids = {run.metadata.uid for run in state.runs.values()}
    uids |= {rollout.metadata.uid for rollout in state.rollouts.values()}
    for key in record.reservations:
        uid, _, attempt = key.rpartition("/")
        if uid not in uids and (record.active is None or record.active.uid != uid):
            return Plan(
                steps=(SettleOrphanedAttempt(key=key, uid=uid, attempt=int(attempt)),),
                requeue_after=ENDPOINT_POLL_SECONDS,
            )
    return None


def endpoints_are_unknown(state: State) -> AgentModelPlan | None:
    """Asked only where any is on record."""
    record = state.require_record()
    if not record.endpoints or state.endpoints is not UNSEEN:
        return None
    if state.secret_problem and not state.can_clean_up:
        return None
    return Plan(needs=AgentModelFact.ENDPOINTS)


def ensure_endpoints_created(state: State) -> AgentModelPlan | None:
    """Whatever the record names with a role that serves is there. It will bill: status and record name it right before.

    Both writes fail unless they were decided from the newest copies. One whose time is up is not started again
    between its deletion and its removal from the record.
    """
    record = state.require_record()
    if state.secret_problem or state.endpoints is UNSEEN or isinstance(state.endpoints, Outage):
        return None
    listed = {endpoint.name for endpoint in state.endpoints}
    done_with = {entry.name for entry in over(state)}
    missing = [
        e
        for e in record.endpoints
        if e.name not in listed | done_with and e.role != EndpointRole.STOPPING.value
    ]
    if not missing:
        return None
    return Plan(
        steps=(
            WriteStatus(status=projected(state)),
            WriteRecord(record=record, purpose="unchanged: proves that it is the newest"),
            *(CreateEndpoint(entry=entry) for entry in missing),
        ),
        requeue_after=ENDPOINT_POLL_SECONDS / 10,
    )


def due(entry: EndpointEntry, now: datetime) -> bool:
    """Whether its role ended and its time is up."""
    ends = entry.role in (EndpointRole.STOPPING.value, EndpointRole.PREVIOUS.value)
    return ends and bool(entry.stop_after) and datetime.fromisoformat(entry.stop_after) <= now


def in_use(state: State, entry: EndpointEntry) -> bool:
    """Whether an agent reports the endpoint's model, or may still be on an older routing.

    A Pod that never reports keeps it for an hour, not for ever.
    """
    reports = state.reports
    if state.listening_seconds < HEARD_SECONDS:
        return True
    if reports is None or reports.expected == 0:
        return False
    if entry.repo in reports.models_in_use and entry.repo not in served_elsewhere(state):
        return True
    late = (state.now - datetime.fromisoformat(entry.stop_after)).total_seconds() > ESCAPE_SECONDS
    return reports.in_sync < reports.expected and not late


def served_elsewhere(state: State) -> set[str]:
    """Models that an endpoint serves which is kept in any case: that agents use them says nothing of another one.

    A deletion keeps none.
    """
    record = state.require_record()
    if state.agent_model.metadata.deletion_timestamp is not None:
        return set()
    return {record.stable.model, record.active.candidate.model if record.active else ""}


def models_in_file(state: State) -> set[str]:
    """What the agents' file names, whoever wrote it there: it is kept running."""
    entry = state.file.entry if state.file else None
    stable = entry.stable.model if entry and entry.stable else None
    canary = entry.routing.canary if entry and entry.routing and entry.routing.weight else None
    return {name for name in (stable, canary.model if canary else None) if name}


def over(state: State) -> tuple[EndpointEntry, ...]:
    """Whose time is up, but for what stable, the active candidate or the agents' file names."""
    record = state.require_record()
    ended = tuple(entry for entry in record.endpoints if due(entry, state.now))
    if state.agent_model.metadata.deletion_timestamp is not None:
        return ended
    named = {record.stable.endpoint_name, record.active.candidate.endpoint_name if record.active else ""}
    return tuple(e for e in ended if e.name not in named and e.repo not in models_in_file(state))


def stop_unused_endpoints(state: State) -> AgentModelPlan | None:
    """Those whose time is up: deleted; once they are gone, off the status, then off the record with what they cost.

    In this order, so that a name that only the status has is one that the record has lost.
    """
    record = state.require_record()
    if state.endpoints is UNSEEN or isinstance(state.endpoints, Outage):
        return None
    stopped = [entry for entry in over(state) if not in_use(state, entry)]
    listed = {endpoint.name for endpoint in state.endpoints}
    running = [entry for entry in stopped if entry.name in listed]
    if running:
        return Plan(
            steps=tuple(DeleteEndpoint(name=entry.name) for entry in running),
            requeue_after=ENDPOINT_POLL_SECONDS / 10,
        )
    if not stopped:
        return None
    gone = {entry.name for entry in stopped}
    changed = record.with_spent(*stopped, until=state.now).with_(
        endpoints=tuple(entry for entry in record.endpoints if entry.name not in gone)
    )
    return Plan(
        steps=(
            WriteStatus(status=projected(replace(state, record=changed))),
            WriteRecord(record=changed, purpose=f"stopped {', '.join(sorted(gone))}"),
        ),
        requeue_after=0,
    )


def shown(state: State, after: float | None) -> AgentModelPlan:
    status, old = projected(state), state.agent_model.status
    if not differs(status, old):
        return Plan(requeue_after=after)
    return Plan(steps=(WriteStatus(status=status), *turned(old, status)), requeue_after=after)


def turned(old: AgentModelStatus, new: AgentModelStatus) -> Iterator[Announce]:
    """An Event for each condition that turned; of a new AgentModel, for what is wrong and for Ready."""
    before = {condition.type: condition.status for condition in old.conditions}
    for condition in new.conditions:
        good = (condition.status is ConditionStatus.TRUE) == (condition.type in GOOD_WHEN_TRUE)
        expected = ConditionStatus(condition.status) if good and condition.type != "Ready" else None
        if before.get(condition.type, expected) is not condition.status:
            message = condition.message or f"{condition.type} is {condition.status.value}"
            yield Announce(reason=condition.reason, message=message, warning=not good)


def next_look(state: State) -> AgentModelPlan:
    """The status, and when the next endpoint is due."""
    record = state.require_record()
    after = LOOK_SECONDS
    for entry in record.endpoints:
        if entry.stop_after:
            left = (datetime.fromisoformat(entry.stop_after) - state.now) / timedelta(seconds=1)
            after = min(after, max(ENDPOINT_POLL_SECONDS / 5, left + 0.1))
    plan = shown(state, after)
    return plan if plan.empty or state.rest_seconds <= 0 else Plan(requeue_after=state.rest_seconds)


STEPS: tuple[Callable[[State], AgentModelPlan | None], ...] = (
    finish_deletion,
    another_owns_the_target,
    record_is_not_readable,
    ensure_finalizer,
    ensure_record,
    restore_record_from_statuses,
    end_deleted_rollout,
    remove_orphan_routing,
    endpoints_are_unknown,
    ensure_endpoints_created,
    stop_unused_endpoints,
    settle_orphan_reservations,
)


def decide(state: State) -> AgentModelPlan:
    """What to do now about the agent."""
    try:
        return first(state)
    except UneditableAgentsFile as error:
        reference = state.agent_model.spec.config.config_map_ref
        where = f"ConfigMap {reference.name}, key {reference.key} (spec.config.configMapRef)"
        return first(replace(state, file=None, file_problem=f"{where}: {error}"))


def first(state: State) -> AgentModelPlan:
    """The first step that has something to say, or the status."""
    for step in STEPS:
        plan = step(state)
        if plan is not None:
            return plan
    return next_look(state)
