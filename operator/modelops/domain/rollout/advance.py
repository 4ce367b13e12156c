"""Raising the weight and promoting: protocol "Advance" and "Promote".

A raise or a promotion starts with a conditional status write of its intent; the file follows at `baseResourceVersion`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from modelops.api.v1alpha1.agentmodel import EndpointRole
from modelops.api.v1alpha1.rollout import Intent, RolloutPhase
from modelops.domain.agentsfile import KEEP, RoutingBlock, edit
from modelops.domain.plan import Plan, WriteFile, WriteRecord, WriteStatus
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import Completed, EndpointEntry, Record
from modelops.domain.rollout.abort import latch_abort
from modelops.domain.rollout.actions import RolloutFact, RolloutPlan
from modelops.domain.rollout.booking import own_endpoint, settled, with_candidate_counted, with_scores
from modelops.domain.rollout.routing import block_of, canary_until, equals_intent, next_generation
from modelops.domain.rollout.state import State, same_target, stable_keys
from modelops.domain.rollout.status import status_steps, with_phase
from modelops.domain.rollout.targets import candidate_target, promoted_target


def advance(
    state: State, *, step: int, weight: int, reason: RolloutReason, message: str, **changes: Any
) -> RolloutPlan:
    """Advance 2 and 3: intent, then the block at `baseResourceVersion`."""
    file, candidate = state.file, candidate_target(state)
    assert file is not None
    assert candidate is not None
    intent = Intent(
        step=step,
        weight=weight,
        generation=next_generation(state),
        base_resource_version=file.resource_version,
        writes=1,
    )
    status = with_phase(
        state,
        RolloutPhase.PROGRESSING,
        reason,
        message,
        facts={"RoutingPropagated": False},
        intent=intent,
        weight=weight,
        step=step,
        step_started_at=state.now.replace(microsecond=0),
        **changes,
    )
    return Plan(
        steps=(
            *status_steps(state, status, reason, message),
            WriteFile(
                text=edit(file.text, agent_of(state), routing=block_of(state, intent, candidate)),
                purpose=f"canary of {state.rollout.metadata.name} at {weight} percent",
                intended=(state.uid, file.entry.routing),
            ),
        ),
        requeue_after=0,
    )


def promote(state: State) -> RolloutPlan:
    """Promote 1 to 3: intent, the five keys and the Promoted block in one write, the commit."""
    file = state.file
    target = promoted_target(state)
    assert file is not None
    assert target is not None
    old = state.rollout.status.intent
    intent = Intent(
        step=(old.step if old else 0) + 1,
        weight=0,
        state="Promoting",
        generation=next_generation(state),
        base_resource_version=file.resource_version,
        writes=1,
    )
    message = f"{target.version} becomes stable"
    # Whoever promotes has seen every agent confirm the last step.
    status = with_phase(
        state,
        RolloutPhase.PROMOTING,
        RolloutReason.Promoting,
        message,
        facts={"RoutingPropagated": True},
        intent=intent,
        promoting=True,
    )
    return Plan(
        steps=(
            *status_steps(state, status, RolloutReason.Promoting, message),
            WriteFile(
                text=edit(
                    file.text,
                    agent_of(state),
                    stable=stable_keys(target),
                    routing=block_of(state, intent, target),
                ),
                purpose=f"promote {target.version}",
                intended=(state.uid, file.entry.routing),
            ),
            WriteRecord(record=committed(state), purpose=f"commit {target.version}"),
        ),
        requeue_after=0,
    )


def agent_of(state: State) -> str:
    assert state.record is not None
    return state.record.agent


def committed(state: State) -> Record:
    """Promote 3, the commit: stable, previous, endpoint roles, completed, active; one write."""
    record, target, old = state.record, promoted_target(state), state.rollout.status.candidate
    assert record is not None
    assert target is not None
    before = record.active.candidate.version if record.active else target.version
    done = Completed(
        kind="Rollout",
        name=state.rollout.metadata.name,
        uid=state.uid,
        outcome=RolloutReason.Promoted.value,
        version=target.version,
        message=f"{target.version} ({target.model}) is stable; {record.stable.version} is kept for an undo",
        revision=old.revision if old else "",
        finished_at=state.now.isoformat(timespec="seconds"),
    )
    undo = target.version in record.served
    changed = with_scores(state, settled(state, record), before)
    changed = changed.with_(endpoints=reroled(state, changed))
    changed = changed.with_entry(
        record.stable.version, deployment_status="rolled_back" if undo else "superseded"
    )
    changed = changed.with_entry(before, deployment_status="deployed", version=target.version)
    allocated = dict(changed.allocated)
    if before != target.version and before in allocated:
        allocated[target.version] = allocated.pop(before)
    return changed.with_(
        stable=target,
        previous=record.stable,
        deployed_at=target.since,
        served={**changed.served, target.version: target},
        allocated=allocated,
        candidates_compared=with_candidate_counted(state, changed),
        completed={**changed.completed, state.identity: done},
        active=None,
    )


def reroled(state: State, record: Record) -> tuple[EndpointEntry, ...]:
    """The candidate's endpoint becomes stable's; the old stable's stays warm for the rollback window."""
    window = state.agent_model.spec.rollback_window_seconds if state.agent_model else 86400
    stop = (state.now + timedelta(seconds=window)).isoformat(timespec="seconds")
    mine = own_endpoint(record)
    entries = []
    for entry in record.endpoints:
        if mine is not None and entry.name == mine.name:
            entries.append(entry.model_copy(update={"role": EndpointRole.STABLE.value, "stop_after": ""}))
        elif entry.role in (EndpointRole.STABLE.value, EndpointRole.PREVIOUS.value):
            role = EndpointRole.PREVIOUS if entry.role == EndpointRole.STABLE.value else EndpointRole.STOPPING
            entries.append(
                entry.model_copy(
                    update={
                        "role": role.value,
                        "stop_after": stop if role is EndpointRole.PREVIOUS else entry.stop_after or stop,
                    }
                )
            )
        else:
            entries.append(entry)
    return tuple(entries)


def finish_intended_write(state: State) -> RolloutPlan | None:
    """Recovery 4, 5 and 7, and Advance 4: is the file what was intended, or still what it was decided from?"""
    status, file, record = state.rollout.status, state.file, state.record
    intent = status.intent
    if intent is None or record is None:
        return None
    target, canary = promoted_target(state), candidate_target(state)
    assert target is not None
    assert canary is not None
    if file is None:
        if not state.file_is_live:
            return Plan(needs=RolloutFact.FILE_IS_LIVE)
        return latch_abort(state, RolloutReason.ConfigNotUsable, state.file_problem)
    promoting = intent.state == "Promoting"
    if (
        promoting
        and same_target(file.entry.stable, target)
        and not same_target(stable_keys(record.stable), target)
    ):
        again = intent.model_copy(update={"writes": intent.writes + 1})
        return Plan(
            steps=(
                WriteStatus(status=status.model_copy(update={"intent": again})),
                WriteRecord(record=committed(state), purpose=f"commit {target.version}"),
            ),
            requeue_after=0,
        )
    if not promoting and equals_intent(state, canary) and same_target(file.entry.stable, record.stable):
        return None
    rebased = unchanged_since_decided(state) and same_target(file.entry.stable, record.stable)
    if intent.base_resource_version == file.resource_version or rebased:
        again = intent.model_copy(
            update={"base_resource_version": file.resource_version, "writes": intent.writes + 1}
        )
        text = edit(
            file.text,
            agent_of(state),
            routing=block_of(state, again, canary),
            stable=stable_keys(target) if promoting else KEEP,
        )
        write = WriteFile(
            text=text,
            purpose=f"intent {again.generation} again",
            intended=(state.uid, file.entry.routing) if rebased else None,
        )
        commit = (
            (WriteRecord(record=committed(state), purpose=f"commit {target.version}"),) if promoting else ()
        )
        return Plan(
            steps=(WriteStatus(status=status.model_copy(update={"intent": again})), write, *commit),
            requeue_after=0,
        )
    if not state.file_is_live:
        return Plan(needs=RolloutFact.FILE_IS_LIVE)
    return latch_abort(state, RolloutReason.RoutingMismatch, mismatch(state))


def unchanged_since_decided(state: State) -> bool:
    """Advance 4: our one write definitely did not land, and the live block is the one it was decided from.

    `canary_until` may have been renewed meanwhile by a leader before us.
    """
    if state.rebase is None:
        return False
    uid, decided_from = state.rebase
    return uid == state.uid and lasting(decided_from) == lasting(state.block)


def lasting(block: RoutingBlock | None) -> RoutingBlock | None:
    """The block without the moment that is renewed."""
    return None if block is None else replace(block, canary_until=None)


def mismatch(state: State) -> str:
    """What was found where the intent should be."""
    intent, block, record = state.rollout.status.intent, state.block, state.record
    assert intent is not None
    assert record is not None
    found = (
        "no routing"
        if block is None
        else f"routing of {block.salt or 'nobody'} at step {block.rollout.step}, {block.rollout.state}, weight "
        f"{block.weight}, generation {block.generation}"
    )
    stable = state.file.entry.stable if state.file else None
    drift = (
        ""
        if same_target(stable, record.stable)
        else f"; stable is {stable.model if stable else 'absent'}, not {record.stable.model}"
    )
    return (
        f"the agents' file has {found}{drift}, where step {intent.step} with weight {intent.weight}, generation "
        f"{intent.generation} was written: somebody changed it, so everything goes back to stable"
    )


def renew_expiry(state: State) -> RolloutPlan | None:
    """`canary_until` is renewed with the generation unchanged; without an operator it runs out by itself."""
    block, file = state.block, state.file
    if state.rollout.status.intent is None or block is None or file is None or block.canary_until is None:
        return None
    until = datetime.fromisoformat(block.canary_until.replace("Z", "+00:00"))
    left = (until - state.now).total_seconds()
    if left > state.settings.canary_seconds - state.settings.renew_seconds:
        return None
    renewed = replace(block, canary_until=canary_until(state))
    return Plan(
        steps=(
            WriteFile(text=edit(file.text, agent_of(state), routing=renewed), purpose="renew canary_until"),
        ),
        requeue_after=0,
    )
