"""What Rollouts and TrainingRuns that no longer exist have left behind: the agent lock, routing, reservations."""

from __future__ import annotations

from modelops.api.v1alpha1.agentmodel import EndpointRole
from modelops.domain.agentmodel.actions import AgentModelPlan, AgentModelStep, SettleOrphanedAttempt
from modelops.domain.agentmodel.state import State
from modelops.domain.agentmodel.status_report import ENDPOINT_POLL_SECONDS, report_status
from modelops.domain.agentsfile import RoutingBlock
from modelops.domain.plan import Announce, Plan, WriteRecord
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import ActiveRollout, Completed, Record
from modelops.domain.rollout.routing_write import DesiredRouting, tombstone_routing, write_routing
from modelops.domain.rollout.state import File, same_target, stable_keys
from modelops.domain.versions import release_version


def end_deleted_rollout(state: State) -> AgentModelPlan | None:
    """Recovery 8: aborts the rollout that the record names where its object does not exist."""
    record = state.require_record()
    if record.active is None or record.active.uid in state.unreadable or state.active_rollout is not None:
        return None
    if record.undo is not None:
        return None
    return abort_without_rollout(state, record, record.active, "the Rollout was deleted")


def abort_without_rollout(state: State, record: Record, active: ActiveRollout, cause: str) -> AgentModelPlan:
    """Abort 2 to 4. The tombstone is always written, because it is not known here whether routing was intended."""
    if not active.aborting and not same_target(stable_keys(record.stable), active.candidate):
        fence = record.with_(active=active.model_copy(update={"aborting": True}))
        return Plan(steps=(WriteRecord(record=fence, purpose=f"fence {active.name}"),), requeue_after=0)
    if state.file is None and not state.file_missing:
        return report_status(state, ENDPOINT_POLL_SECONDS)
    steps: list[AgentModelStep] = []
    desired = tombstone_of(state, record, active, state.file) if state.file is not None else None
    if desired is not None and state.file is not None:
        steps.append(
            write_routing(
                desired,
                file=state.file,
                agent=record.agent,
                purpose=f"abort: Rollout {active.name} does not exist",
                restores_stable=True,
            )
        )
    released = record_without_rollout(state, record, active, cause)
    steps.append(WriteRecord(record=released, purpose=f"release {active.name}"))
    return Plan(steps=tuple(steps), requeue_after=0)


def tombstone_of(state: State, record: Record, active: ActiveRollout, file: File) -> DesiredRouting | None:
    """The tombstone of a rollout of which only the record's lock and the file's block are left."""
    block = file.entry.routing
    promoted = active.candidate.model_copy(
        update={"version": release_version(active.candidate.version), "endpoint_url": ""}
    )
    return tombstone_routing(
        record=record,
        file=file,
        uid=active.uid,
        promoted=promoted,
        step=block.rollout.step if block is not None and block.salt == active.uid else 0,
        generation=max(block.generation if block else 0, int(state.now.timestamp() * 1000)) + 1,
    )


def record_without_rollout(state: State, record: Record, active: ActiveRollout, cause: str) -> Record:
    """The record after the rollout: completed, the lock released, its endpoint stopping, its reservation released."""
    now = state.now.isoformat(timespec="seconds")
    done = Completed(
        kind="Rollout",
        name=active.name,
        uid=active.uid,
        outcome=RolloutReason.Deleted.value,
        version=active.candidate.version,
        message=f"{cause}: all sessions are back on stable",
        finished_at=now,
    )
    return record.with_(
        active=None,
        completed={**record.completed, active.digest: done},
        endpoints=tuple(
            e.model_copy(update={"role": EndpointRole.STOPPING.value, "stop_after": now})
            if e.role == EndpointRole.CANARY.value
            else e
            for e in record.endpoints
        ),
        reservations={k: v for k, v in record.reservations.items() if k != f"{active.uid}/1"},
    )


def remove_orphan_routing(state: State) -> AgentModelPlan | None:
    """Recovery 8: replaces a block with weight whose rollout does not have the agent lock.

    The record that was read may be older than the lock: writing it unchanged fails unless it is the newest.
    """
    record, file = state.require_record(), state.file
    block = file.entry.routing if file else None
    if file is None or block is None or block.weight == 0 or record.undo is not None:
        return None
    if record.active is not None and record.active.uid == block.salt == block.rollout.uid:
        return None
    generation = max(block.generation, int(state.now.timestamp() * 1000)) + 1
    tombstone = RoutingBlock.aborted(uid=block.salt, step=block.rollout.step, generation=generation)
    message = (
        f"the agents' file gives {block.weight} percent of sessions to the canary of rollout {block.salt}, which does "
        "not have the lock on the agent: all sessions go back to stable"
    )
    return Plan(
        steps=(
            WriteRecord(record=record, purpose="unchanged: proves that it is the newest"),
            write_routing(DesiredRouting(block=tombstone), file=file, agent=record.agent, purpose=message),
            Announce(reason="OrphanRouting", message=message, warning=True),
        ),
        requeue_after=0,
    )


def settlement_steps(state: State) -> tuple[SettleOrphanedAttempt, ...]:
    """Settles the reservations of TrainingRuns that do not exist: the engine stops their jobs and books their cost.

    Each is a step of its own, so that one which cannot be settled does not keep the others from it.
    """
    record = state.require_record()
    uids = {run.metadata.uid for run in state.runs.values()}
    uids |= {rollout.metadata.uid for rollout in state.rollouts.values()}
    steps = []
    for key in record.reservations:
        uid, _, attempt = key.rpartition("/")
        if uid not in uids and (record.active is None or record.active.uid != uid):
            steps.append(SettleOrphanedAttempt(key=key, uid=uid, attempt=int(attempt)))
    return tuple(steps)
