"""Carrying out an undo from the record: protocol "Undo" 3 to 6 and "Direct undo" 3, with the numbers of their steps.

Whoever asked (a Rollout, `spec.undo`, `modelops rollback --direct`, the watch after a promotion) has no part in it from
the acceptance on. So an undo needs no living Rollout, no finalizer and no agent that answers.
"""

from __future__ import annotations

from modelops.domain.agentmodel.actions import AgentModelFact, AgentModelPlan, AgentModelStep, ResumeEndpoint
from modelops.domain.agentmodel.state import State
from modelops.domain.agentmodel.undo_endpoint import EndpointNeverAnswered, NotReady, ready_target
from modelops.domain.agentmodel.undo_record import record_after_undo, record_without_undo
from modelops.domain.agentsfile import RoutingBlock
from modelops.domain.plan import Announce, Plan, WriteRecord
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import BY_WATCH, Record, Target, Undo
from modelops.domain.rollout.routing_write import DesiredRouting, write_routing
from modelops.domain.rollout.state import File, same_target, stable_keys
from modelops.domain.rollout.undo import latch_of
from modelops.domain.undo import (
    accepted,
    ended,
    field_undo,
    is_mark_of,
    promoted,
    unrecorded_mark,
)


def record_mark(state: State) -> AgentModelPlan | None:
    """Direct undo 3: a mark that the record lacks goes on record before anything writes the file again.

    No latch is needed: the mark has made every older basis and block of the active rollout fail.
    """
    record = state.require_record()
    mark = unrecorded_mark(record, state.file.entry.routing if state.file else None)
    if mark is None or mark.rollout.undo is None:
        return None
    asker = next((i for i, one in state.rollouts.items() if one.metadata.uid == mark.rollout.uid), "")
    undo = Undo(by=mark.rollout.uid, to=mark.rollout.undo, at=iso(state), digest=asker)
    field = field_undo(state.agent_model)
    if field is not None and field.to == undo.to and field.digest not in record.completed:
        # `--direct` sets the field, too, where it can: it is the same undo.
        undo = undo.model_copy(update={"name": field.by, "digest": field.digest})
    acceptance = accepted(record, undo, field=field, marked=mark.generation)
    message = f"{undo.to} was put into the agents' file directly: it goes on record as an undo"
    return Plan(
        steps=(
            WriteRecord(record=acceptance, purpose=f"accept the direct undo to {undo.to}"),
            Announce(reason="DirectUndo", message=message, warning=True),
        ),
        requeue_after=0,
    )


def accept_undo_of_spec(state: State) -> AgentModelPlan | None:
    """Undo 1 to 3 for `spec.undo`. One that was asked for while another is under way waits for its end."""
    record, field = state.require_record(), field_undo(state.agent_model)
    if field is None or field.digest in record.completed or record.undo is not None:
        return None
    undo = Undo(by=field.by, to=field.to, at=iso(state), name=field.by, digest=field.digest)
    target = record.served.get(field.to)
    if target is None:
        known = ", ".join(sorted(record.served))
        message = (
            f"spec.undo.to {field.to} of AgentModel {state.agent_model.metadata.name} never served {record.agent}: use "
            f"one of {known}, with another spec.undo.id"
        )
        return end_field(state, record, undo, RolloutReason.CandidateNotFound, message)
    if state.file is not None and serves_already(record, state.file, target):
        if not state.live:
            return Plan(needs=AgentModelFact.LIVE)
        message = f"{target.version} ({target.model}) serves already, by the record and by the agents' file"
        return end_field(state, record, undo, RolloutReason.AlreadyServes, message)
    latch = latch_of(state.active_rollout, record, to=target.version, now=state.now)
    acceptance = accepted(record, undo, field=field)
    write = WriteRecord(record=acceptance, purpose=f"accept spec.undo to {target.version}")
    return Plan(steps=(*latch, write), requeue_after=0)


def end_field(
    state: State, record: Record, undo: Undo, reason: RolloutReason, message: str
) -> AgentModelPlan:
    """Ends `spec.undo` without an acceptance."""
    done = ended(undo, reason, message, at=iso(state))
    changed = record.with_(completed={**record.completed, undo.digest: done})
    return Plan(
        steps=(
            WriteRecord(record=changed, purpose=f"end spec.undo: {reason.value}"),
            Announce(reason=reason.value, message=message, warning=reason is not RolloutReason.AlreadyServes),
        ),
        requeue_after=0,
    )


def serves_already(record: Record, file: File, target: Target) -> bool:
    """Undo 3, AlreadyServes: only where record and file name the version, nothing is active, and no weight is left."""
    block = file.entry.routing
    named = record.stable.version == target.version and same_target(file.entry.stable, target)
    return named and record.active is None and not (block is not None and block.weight)


def carry_out_undo(state: State) -> AgentModelPlan | None:
    """Undo 4 and 5. None while it waits for the file or for its endpoint: later steps start that endpoint."""
    record = state.require_record()
    undo = record.undo
    if undo is None:
        return None
    target = record.served.get(undo.to)
    if target is None:
        # `served` forgets nothing; a record that a person edited may lack it.
        return withdraw(state, undo, RolloutReason.CandidateNotFound, f"{undo.to} is not on record any more")
    block = state.file.entry.routing if state.file is not None else None
    if is_mark_of(record, block, undo) and block is not None:
        return commit(state, undo, target, generation=block.generation)
    if state.file is None:
        return None
    if undo.by == BY_WATCH and is_left_by_person(record, state.file, target):
        if not state.live:
            return Plan(needs=AgentModelFact.LIVE)
        return withdraw(
            state,
            undo,
            RolloutReason.StableDrift,
            "a person wrote another stable model into the agents' file before the watch went back: it stays",
        )
    ready = ready_target(state, target)
    if isinstance(ready, Plan):
        return ready
    if isinstance(ready, EndpointNeverAnswered):
        return withdraw(state, undo, ready.reason, ready.message)
    if isinstance(ready, NotReady):
        return lower_canary(state, state.file, undo)
    return write_undo(state, state.file, undo, ready)


def write_undo(state: State, file: File, undo: Undo, target: Target) -> AgentModelPlan:
    """Undo 4 and 5: the file, then the commit.

    A process that did not write this record first writes it unchanged: only the newest undo is acted on.
    """
    record, generation = state.require_record(), next_generation(state, file)
    steps: list[AgentModelStep] = []
    if not state.record_is_ours:
        steps.append(WriteRecord(record=record, purpose="unchanged: proves that it is the newest"))
    mark = RoutingBlock.undone(by=undo.by, to=undo.to, generation=generation)
    steps.append(
        write_routing(
            DesiredRouting(block=mark, stable=stable_keys(target)),
            file=file,
            agent=record.agent,
            purpose=f"undo to {undo.to}",
            restores_stable=True,
        )
    )
    after = commit(state, undo, target, generation=generation)
    return Plan(steps=(*steps, *after.steps), requeue_after=0)


def commit(state: State, undo: Undo, target: Target, *, generation: int) -> AgentModelPlan:
    """Undo 5, one write of the record. A paused endpoint of a direct undo is resumed beside it."""
    record = record_after_undo(state, undo, target, generation=generation)
    left = state.require_record().stable.version
    words = f"from {left} to {undo.to}" if left != undo.to else f"to {undo.to}, which stays stable"
    who = f" (by {undo.by})" if undo.by != undo.name else ""
    return Plan(
        steps=(
            *resume_target(state, target),
            WriteRecord(record=record, purpose=f"commit the undo to {undo.to}"),
            Announce(
                reason="WentBack",
                message=f"{state.require_record().agent} went back {words}{who}",
                warning=undo.by == BY_WATCH,
            ),
        ),
        requeue_after=0,
    )


def resume_target(state: State, target: Target) -> tuple[ResumeEndpoint, ...]:
    """A direct undo does not wait for its endpoint, which may be paused."""
    listed = state.listed_endpoints or ()
    paused = any(e.name == target.endpoint_name and e.state == "paused" for e in listed)
    return (ResumeEndpoint(name=target.endpoint_name),) if paused and not state.lacks_hub_token else ()


def lower_canary(state: State, file: File, undo: Undo) -> AgentModelPlan | None:
    """While the endpoint is waited for, a canary that has sessions gets a tombstone at once; its rollout was left."""
    record, block = state.require_record(), file.entry.routing
    if block is None or block.weight == 0:
        return None
    tombstone = RoutingBlock.aborted(
        uid=block.salt, step=block.rollout.step, generation=next_generation(state, file)
    )
    proof = WriteRecord(record=record, purpose="unchanged: proves that it is the newest")
    write = write_routing(
        DesiredRouting(block=tombstone),
        file=file,
        agent=record.agent,
        purpose=f"the undo to {undo.to} waits for its endpoint: the canary ends now",
        restores_stable=True,
    )
    return Plan(steps=(*(() if state.record_is_ours else (proof,)), write), requeue_after=0)


def is_left_by_person(record: Record, file: File, target: Target) -> bool:
    """Watch 3: whether the file names neither version, nor an active candidate: a person came first."""
    stable, active = file.entry.stable, record.active
    if same_target(stable, target) or same_target(stable, record.stable):
        return False
    return not (active is not None and same_target(stable, promoted(active)))


def withdraw(state: State, undo: Undo, reason: RolloutReason, message: str) -> AgentModelPlan:
    """Ends an accepted undo that was not written: the version that serves stays. The watch ends with it."""
    record = record_without_undo(state.require_record(), undo, reason, message, at=iso(state))
    return Plan(
        steps=(
            WriteRecord(record=record, purpose=f"withdraw the undo: {reason.value}"),
            Announce(reason=reason.value, message=message, warning=True),
        ),
        requeue_after=0,
    )


def next_generation(state: State, file: File) -> int:
    """Above the file's generation, that of the newest mark on record, and the clock in milliseconds."""
    block, record = file.entry.routing, state.require_record()
    return max(block.generation if block else 0, record.marked, int(state.now.timestamp() * 1000)) + 1


def iso(state: State) -> str:
    """This moment as the record keeps it."""
    return state.now.isoformat(timespec="seconds")
