"""Retreat: everything back to stable. Protocol "Retreat", numbered as there.

A latch is never taken back, and the tombstone is written even where the block is gone already: a write that changes
nothing fences nothing. Where no routing was ever intended, no file write can be under way, so the file is left alone:
each follows a conditional status write, and the abort, the deletion or the latch makes an older one fail.
"""

from __future__ import annotations

from modelops.api.v1alpha1.agentmodel import EndpointRole
from modelops.api.v1alpha1.rollout import RollbackTimes, RolloutPhase
from modelops.domain.agentsfile import RoutingBlock, edit
from modelops.domain.conditions import condition_of, with_condition
from modelops.domain.plan import Plan, Step, WriteFile, WriteRecord, WriteStatus
from modelops.domain.reasons import RolloutReason as Why
from modelops.domain.record import Completed, Record
from modelops.domain.rollout.booking import looked, release_endpoints, settled, with_scores
from modelops.domain.rollout.routing import next_generation
from modelops.domain.rollout.state import Observed, same_target, stable_keys
from modelops.domain.rollout.status import moved, said
from modelops.domain.rollout.targets import promoted_target

REJECTIONS = frozenset({Why.EVALUATION_FAILED, Why.EVALUATION_INCONCLUSIVE})
FAILURES = frozenset(
    {
        Why.CANDIDATE_NOT_FOUND,
        Why.NO_DATASET,
        Why.OVER_MAX_USD,
        Why.OVER_BUDGET,
        Why.NEEDS_APPROVAL,
        Why.ENDPOINT_FAILED,
        Why.EVALUATION_REFUSED,
    }
)


AWAIT_SECONDS = 2.0


def reason_named(word: str) -> Why:
    """The reason; one that only a newer operator knows counts as an abort."""
    try:
        return Why.named(word)
    except ValueError:
        return Why.RETREATING


def phase_of(reason: Why) -> RolloutPhase:
    """The phase that an end for this reason has."""
    if reason in (Why.PROMOTED, Why.EVALUATED_ONLY):
        return RolloutPhase.SUCCEEDED
    if reason in REJECTIONS:
        return RolloutPhase.REJECTED
    return RolloutPhase.FAILED if reason in FAILURES else RolloutPhase.ABORTED


def latch(seen: Observed, reason: Why, message: str, *, rollback: RollbackTimes | None = None) -> Plan:
    """1. Latch the reason, and retreat in the same act."""
    status = moved(
        seen,
        seen.rollout.status.phase,
        Why.RETREATING,
        message,
        aborting=reason.value,
        rollback=rollback or seen.rollout.status.rollback,
    )
    steps = (*said(seen, status, reason, message), *abort_steps(seen, reason, message))
    return Plan(steps=steps, requeue_after=0)


def abort_if_requested(seen: Observed) -> Plan | None:
    """Abort wins: over everything that would go forward."""
    status = seen.rollout.status
    fenced = (
        seen.holds_agent_lock
        and seen.record is not None
        and seen.record.active is not None
        and seen.record.active.aborting
    )
    if not (seen.asked_to_stop or status.aborting or fenced):
        return None
    if seen.record is None:
        return gone(seen) if seen.agent_model is None else abort_without_record(seen)
    if not (seen.asked_to_stop or status.aborting):
        return latch(seen, Why.CLAIM_LOST, "the agent was taken back: everything goes back to stable")
    reason, message = why(seen)
    steps = abort_steps(seen, reason, message)
    if not steps:
        return stuck(
            seen, Why.CONFIG_NOT_USABLE, f"{message}; that waits for the agents' file: {seen.file_problem}"
        )
    return Plan(steps=steps, requeue_after=0)


def abort_without_record(seen: Observed) -> Plan:
    """Without its record the agent goes back at once where our weight is in the file; the rest follows the record."""
    agent, file, block, intent = seen.agent_model, seen.file, seen.block, seen.rollout.status.intent
    assert agent is not None
    if intent is not None and file is not None and block is not None:
        ours = block.salt == seen.uid
        if ours and block.rollout.state == "Progressing":
            tombstone = RoutingBlock.aborted(uid=seen.uid, step=intent.step, generation=next_generation(seen))
            text = edit(file.text, agent.spec.agent, routing=tombstone)
            return Plan(
                steps=(WriteFile(text=text, why="abort: the record cannot be read"),), requeue_after=0
            )
    message = f"AgentModel {agent.metadata.name} has no record that can be read: see its conditions"
    return stuck(seen, Why.WAITING_FOR_AGENT_MODEL, message)


def stuck(seen: Observed, reason: Why, message: str) -> Plan:
    """What the retreat waits for, on a condition of its own: why it goes back stays readable."""
    status = seen.rollout.status
    conditions = with_condition(
        status.conditions,
        "RoutingPropagated",
        False,
        reason=reason.value,
        message=message,
        generation=seen.rollout.metadata.generation,
        now=seen.now,
    )
    changed = status.model_copy(update={"conditions": conditions})
    steps = (WriteStatus(status=changed),) if changed != status else ()
    return Plan(steps=steps, requeue_after=AWAIT_SECONDS)


def why(seen: Observed) -> tuple[Why, str]:
    """The reason that counts: a latch first, then the spec, then the deletion."""
    if seen.rollout.status.aborting:
        reason = reason_named(seen.rollout.status.aborting)
        ready = condition_of(seen.rollout.status.conditions, "Ready")
        return reason, ready.message if ready else reason.doc
    if seen.rollout.spec.abort:
        return Why.ABORTED_BY_USER, "spec.abort was set: everything is back on stable"
    if seen.rollout.metadata.deletion_timestamp is not None:
        return Why.DELETED, "the Rollout was deleted: everything is back on stable"
    return Why.CLAIM_LOST, "a promotion was fenced by an abort: everything is back on stable"


def gone(seen: Observed) -> Plan:
    """Neither AgentModel nor record: nobody knows a file in which anything could be put back."""
    from modelops.domain.rollout.completion import released

    reason, message = why(seen)
    status = moved(seen, phase_of(reason), reason, message)
    return Plan(steps=(*said(seen, status, reason, message), *released(seen)))


def abort_steps(seen: Observed, reason: Why, message: str) -> tuple[Step, ...]:
    """2 to 4. Nothing where the file must be written and cannot be read: then it is waited for."""
    record = seen.record
    assert record is not None
    active = record.active
    ours = seen.holds_agent_lock
    if ours and active is not None and seen.rollout.status.promoting and not active.aborting:
        fence = record.with_(active=active.model_copy(update={"aborting": True}))
        return (WriteRecord(record=fence, why=f"fence the promotion of {seen.rollout.metadata.name}"),)
    steps: list[Step] = []
    intended = ours and seen.rollout.status.intent is not None
    if intended and seen.file is None and not seen.file_missing:
        return ()
    if intended and seen.file is not None:
        text = tombstoned(seen, record)
        if text is not None:
            steps.append(WriteFile(text=text, why=f"abort: {reason.value}"))
    steps.append(WriteRecord(record=ended(seen, record, reason, message), why=f"release: {reason.value}"))
    return tuple(steps)


def tombstoned(seen: Observed, record: Record) -> str | None:
    """3. The file with our tombstone, and stable's keys restored where they name the uncommitted candidate."""
    file, status = seen.file, seen.rollout.status
    assert file is not None
    assert status.intent is not None
    candidate = promoted_target(seen)
    uncommitted = (
        candidate is not None
        and same_target(file.entry.stable, candidate)
        and not same_target(file.entry.stable, record.stable)
    )
    block = file.entry.routing
    if block is not None and block.salt == seen.uid and block.rollout.state == "Aborted" and not uncommitted:
        return None
    tombstone = RoutingBlock.aborted(uid=seen.uid, step=status.intent.step, generation=next_generation(seen))
    if uncommitted:
        return edit(file.text, record.agent, stable=stable_keys(record.stable), routing=tombstone)
    return edit(file.text, record.agent, routing=tombstone)


def ended(seen: Observed, record: Record, reason: Why, message: str) -> Record:
    """4. One write: completed, active released, endpoints on their way out, money settled."""
    done = Completed(
        kind="Rollout",
        name=seen.rollout.metadata.name,
        uid=seen.uid,
        outcome=reason.value,
        version=seen.rollout.status.candidate.version if seen.rollout.status.candidate else "",
        message=message[:512],
        finished_at=seen.now.isoformat(timespec="seconds"),
    )
    changed = record.with_(completed={**record.completed, seen.identity: done})
    if not seen.holds_agent_lock:
        return changed
    changed = settled(seen, release_endpoints(seen, changed, EndpointRole.STOPPING))
    changed = with_scores(seen, changed, done.version).with_(looks=looked(seen, changed))
    entry = record.entry(done.version)
    if entry is not None and reason in REJECTIONS:
        changed = changed.with_entry(done.version, deployment_status="rejected")
    elif entry is not None and done.version in record.served:
        pass
    elif entry is not None and seen.rollout.status.intent is not None:
        changed = changed.with_entry(done.version, deployment_status="rolled_back")
    elif entry is not None and seen.rollout.status.evaluation is not None:
        changed = changed.with_entry(done.version, deployment_status="evaluated")
    return changed.with_(active=None)
