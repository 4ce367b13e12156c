"""Aborting a rollout: all sessions go back to stable. Protocol "Abort", with the numbers of its steps.

A latch is never removed, and the tombstone is written even where the routing block is gone already, because a write
that changes nothing would not make an older write fail. Where no routing was ever intended, the file is left alone:
each write of the file follows a conditional status write, which the abort, the deletion or the latch makes fail.
"""

from __future__ import annotations

from typing import Any

from modelops.api.v1alpha1.agentmodel import AgentModel, EndpointRole
from modelops.api.v1alpha1.rollout import AnalysisStatus, RollbackTimes
from modelops.domain.agentsfile import RoutingBlock
from modelops.domain.conditions import condition_of, with_condition
from modelops.domain.plan import Plan, WriteFile, WriteRecord
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import Completed, Record
from modelops.domain.rollout.actions import RolloutPlan, RolloutStep
from modelops.domain.rollout.analysis_summary import analysis_at_abort
from modelops.domain.rollout.endpoint_cost import release_endpoint, settle_reservation
from modelops.domain.rollout.evaluation_scores import with_candidate_counted, with_scores
from modelops.domain.rollout.finalizer import drop_finalizer
from modelops.domain.rollout.outcome import REJECTIONS, parse_reason, phase_of
from modelops.domain.rollout.routing import next_generation
from modelops.domain.rollout.routing_write import DesiredRouting, tombstone_routing, write_routing
from modelops.domain.rollout.state import State
from modelops.domain.rollout.status import status_steps, with_phase
from modelops.domain.rollout.targets import promoted_target

RETRY_SECONDS = 2.0


def latch_abort(
    state: State,
    reason: RolloutReason,
    message: str,
    *,
    rollback: RollbackTimes | None = None,
    analysis: AnalysisStatus | None = None,
    **changes: Any,
) -> RolloutPlan:
    """1. Latches the reason, and aborts in the same plan. `analysis`: the numbers that decided; else the newest ones.

    `changes`: further fields of the status.
    """
    status = with_phase(
        state,
        state.rollout.status.phase,
        RolloutReason.Aborting,
        message,
        abort_reason=reason.value,
        rollback=rollback or state.rollout.status.rollback,
        analysis=analysis or analysis_at_abort(state),
        **changes,
    )
    steps = (*status_steps(state, status, reason, message), *abort_steps(state, reason, message))
    return Plan(steps=steps, requeue_after=0)


def abort_if_requested(state: State) -> RolloutPlan | None:
    """An abort takes precedence over every step that would raise traffic."""
    status = state.rollout.status
    fenced = (
        state.holds_agent_lock
        and state.record is not None
        and state.record.active is not None
        and state.record.active.aborting
    )
    if not (state.abort_is_requested or status.abort_reason or fenced):
        return None
    if state.record is None:
        if state.agent_model is None:
            return conclude_without_agent_model(state)
        return abort_without_record(state, state.agent_model)
    if not (state.abort_is_requested or status.abort_reason):
        return latch_abort(
            state,
            RolloutReason.AgentLockLost,
            "the record marks this rollout as aborting: all sessions go back to stable",
        )
    reason, message = abort_reason(state)
    steps = abort_steps(state, reason, message)
    if not steps:
        return report_blocked_abort(
            state,
            RolloutReason.ConfigNotUsable,
            f"{message}; the abort waits for the agents' file: {state.file_problem}",
        )
    return Plan(steps=(*report_refused_write(state, steps), *steps), requeue_after=0)


def abort_without_record(state: State, agent: AgentModel) -> RolloutPlan:
    """Without the record, the tombstone is written at once if the file has this rollout's weight; the rest waits."""
    file, block, intent = state.file, state.block, state.rollout.status.intent
    if intent is not None and file is not None and block is not None:
        ours = block.salt == state.uid
        if ours and block.rollout.state == "Progressing":
            tombstone = RoutingBlock.aborted(
                uid=state.uid, step=intent.step, generation=next_generation(state)
            )
            write = write_routing(
                DesiredRouting(block=tombstone),
                file=file,
                agent=agent.spec.agent,
                purpose="abort: the record cannot be read",
                restores_stable=True,
            )
            return Plan(steps=(*report_refused_write(state, (write,)), write), requeue_after=0)
    message = f"AgentModel {agent.metadata.name} has no readable record: see its conditions"
    return report_blocked_abort(state, RolloutReason.AgentModelNotFound, message)


def report_blocked_abort(state: State, reason: RolloutReason, message: str) -> RolloutPlan:
    """Says what the abort waits for, in RoutingPropagated; Ready keeps the message of a latched reason."""
    return Plan(steps=blocked_abort_steps(state, reason, message), requeue_after=RETRY_SECONDS)


def report_refused_write(state: State, steps: tuple[RolloutStep, ...]) -> tuple[RolloutStep, ...]:
    """Says that the API server refuses the abort's write of the file, which is among `steps` and is tried again."""
    if not state.file_refusal or not any(isinstance(step, WriteFile) for step in steps):
        return ()
    message = (
        f"the abort cannot write the agents' file: {state.file_refusal.rstrip('.')}. The operator tries again: allow "
        "it to write the ConfigMap, or remove `routing` there by hand. Agents leave the canary by themselves when "
        "routing.canary_until has passed"
    )
    return blocked_abort_steps(state, RolloutReason.ConfigNotUsable, message)


def blocked_abort_steps(state: State, reason: RolloutReason, message: str) -> tuple[RolloutStep, ...]:
    """The status that says what the abort waits for; nothing where it says so already."""
    old = state.rollout.status
    ready = condition_of(old.conditions, "Ready")
    kept = ready.message if ready is not None and old.abort_reason else message
    status = with_phase(state, old.phase, RolloutReason.Aborting, kept)
    conditions = with_condition(
        status.conditions,
        "RoutingPropagated",
        False,
        reason=reason.value,
        message=message,
        generation=state.rollout.metadata.generation,
        now=state.now,
    )
    status = status.model_copy(update={"conditions": conditions})
    return status_steps(state, status, RolloutReason.Aborting, message)


def abort_reason(state: State) -> tuple[RolloutReason, str]:
    """The reason of the abort: the latch first, then the spec, then the deletion."""
    if state.rollout.status.abort_reason:
        reason = parse_reason(state.rollout.status.abort_reason)
        ready = condition_of(state.rollout.status.conditions, "Ready")
        return reason, ready.message if ready else reason.doc
    if state.rollout.spec.abort:
        return RolloutReason.AbortedByUser, "spec.abort was set: all sessions are back on stable"
    if state.rollout.metadata.deletion_timestamp is not None:
        return RolloutReason.Deleted, "the Rollout was deleted: all sessions are back on stable"
    return RolloutReason.AgentLockLost, "an abort fenced the promotion: all sessions are back on stable"


def conclude_without_agent_model(state: State) -> RolloutPlan:
    """Neither the AgentModel nor its record exists, so the agents' file is not known and stays as it is."""
    reason, message = abort_reason(state)
    status = with_phase(state, phase_of(reason), reason, message)
    return Plan(steps=(*status_steps(state, status, reason, message), *drop_finalizer(state)))


def abort_steps(state: State, reason: RolloutReason, message: str) -> tuple[RolloutStep, ...]:
    """2 to 4. Empty where the file must be written and cannot be read: the abort then waits for the file."""
    record = state.require_record()
    active = record.active
    ours = state.holds_agent_lock
    if ours and active is not None and state.rollout.status.promoting and not active.aborting:
        fence = record.with_(active=active.model_copy(update={"aborting": True}))
        return (WriteRecord(record=fence, purpose=f"fence the promotion of {state.rollout.metadata.name}"),)
    steps: list[RolloutStep] = []
    intent = state.rollout.status.intent if ours else None
    if intent is not None and state.file is None and not state.file_missing:
        return ()
    if intent is not None and state.file is not None:
        desired = tombstone_routing(
            record=record,
            file=state.file,
            uid=state.uid,
            promoted=promoted_target(state),
            step=intent.step,
            generation=next_generation(state),
        )
        if desired is not None:
            steps.append(
                write_routing(
                    desired,
                    file=state.file,
                    agent=record.agent,
                    purpose=f"abort: {reason.value}",
                    restores_stable=True,
                )
            )
    steps.append(
        WriteRecord(
            record=released_record(state, record, reason, message), purpose=f"release: {reason.value}"
        )
    )
    return tuple(steps)


def with_rejection(state: State, record: Record, version: str) -> Record:
    """The record after a candidate that was evaluated was rejected while another rollout may have the lock."""
    entry = record.entry(version)
    if state.rollout.status.evaluated is None or entry is None or entry.deployment_status != "evaluated":
        return record
    return record.with_entry(version, deployment_status="rejected")


def released_record(state: State, record: Record, reason: RolloutReason, message: str) -> Record:
    """4. The record after the rollout: completed, the lock released, its endpoint stopping, its cost settled."""
    done = Completed(
        kind="Rollout",
        name=state.rollout.metadata.name,
        uid=state.uid,
        outcome=reason.value,
        version=state.rollout.status.candidate.version if state.rollout.status.candidate else "",
        message=message[:512],
        finished_at=state.now.isoformat(timespec="seconds"),
    )
    changed = record.with_(completed={**record.completed, state.identity: done})
    if not state.holds_agent_lock:
        return with_rejection(state, changed, done.version) if reason in REJECTIONS else changed
    changed = settle_reservation(state, release_endpoint(state, changed, EndpointRole.STOPPING))
    changed = with_candidate_counted(state, with_scores(state, changed, done.version))
    entry = record.entry(done.version)
    if entry is not None and reason in REJECTIONS:
        changed = changed.with_entry(done.version, deployment_status="rejected")
    elif entry is not None and done.version in record.served:
        pass
    elif entry is not None and state.rollout.status.intent is not None:
        changed = changed.with_entry(done.version, deployment_status="rolled_back")
    elif entry is not None and state.rollout.status.evaluated is not None:
        changed = changed.with_entry(done.version, deployment_status="evaluated")
    return changed.with_(active=None)
