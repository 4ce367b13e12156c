"""Raising the weight, and finishing the write of an intent: protocol "Advance" and "Recovery".

Each raise starts with a conditional status write of its intent; the write of the file follows, at
`baseResourceVersion`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from modelops.api.v1alpha1.rollout import Intent, RolloutPhase
from modelops.domain.agentsfile import KEEP, RoutingBlock
from modelops.domain.plan import Plan, WriteRecord, WriteStatus
from modelops.domain.reasons import RolloutReason
from modelops.domain.rollout.abort import latch_abort
from modelops.domain.rollout.actions import RolloutFact, RolloutPlan
from modelops.domain.rollout.promotion import promoted_record
from modelops.domain.rollout.routing import block_of, equals_intent, new_expiry, next_generation
from modelops.domain.rollout.routing_write import DesiredRouting, write_routing
from modelops.domain.rollout.state import State, same_target, stable_keys
from modelops.domain.rollout.status import status_steps, with_phase
from modelops.domain.rollout.targets import require_candidate_target, require_promoted_target


def advance(
    state: State, *, step: int, weight: int, reason: RolloutReason, message: str, **changes: Any
) -> RolloutPlan:
    """Advance 2 and 3: the intent, then the block at `baseResourceVersion`."""
    file, candidate = state.require_file(), require_candidate_target(state)
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
            write_routing(
                DesiredRouting(block=block_of(state, intent, candidate)),
                file=file,
                agent=state.require_record().agent,
                purpose=f"canary of {state.rollout.metadata.name} at {weight} percent",
                follows_new_intent=state.uid,
                raises=True,
            ),
        ),
        requeue_after=0,
    )


def finish_intended_write(state: State) -> RolloutPlan | None:
    """Compares the file with the intent: Advance 4, and Recovery 4, 5, 6 and 7.

    The write is repeated where the file is still the one that the intent was decided from. Any other block aborts.
    """
    status, file, record = state.rollout.status, state.file, state.record
    intent = status.intent
    if intent is None or record is None:
        return None
    target, canary = require_promoted_target(state), require_candidate_target(state)
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
                WriteRecord(record=promoted_record(state), purpose=f"commit {target.version}"),
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
        write = write_routing(
            DesiredRouting(
                block=block_of(state, again, canary), stable=stable_keys(target) if promoting else KEEP
            ),
            file=file,
            agent=state.require_record().agent,
            purpose=f"intent {again.generation} again",
            follows_new_intent=state.uid if rebased else "",
            raises=True,
        )
        commit = (
            (WriteRecord(record=promoted_record(state), purpose=f"commit {target.version}"),)
            if promoting
            else ()
        )
        return Plan(
            steps=(WriteStatus(status=status.model_copy(update={"intent": again})), write, *commit),
            requeue_after=0,
        )
    if not state.file_is_live:
        return Plan(needs=RolloutFact.FILE_IS_LIVE)
    return latch_abort(state, RolloutReason.RoutingMismatch, describe_mismatch(state))


def abort_if_expired(state: State) -> RolloutPlan | None:
    """Quorum 5: a block whose `canary_until` has passed is never renewed, nor followed by a further write of an intent.

    Agents went back to stable by themselves, each at its own time, and do not take this canary up again.
    """
    block, intent = state.block, state.rollout.status.intent
    if intent is None or block is None or block.salt != state.uid or block.canary_until is None:
        return None
    if block.rollout.state != "Progressing" or state.now < instant(block.canary_until):
        return None
    if not state.file_is_live:
        return Plan(needs=RolloutFact.FILE_IS_LIVE)
    return latch_abort(
        state,
        RolloutReason.CanaryExpired,
        f"routing.canary_until {block.canary_until} passed before an operator renewed it, so agents went back to "
        "stable by themselves: all sessions go back to stable",
    )


def instant(text: str) -> datetime:
    """The time that `canary_until` names; UTC where it names no zone."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def unchanged_since_decided(state: State) -> bool:
    """Advance 4: this process's one write was refused, and the live block is the one that it was decided from.

    An earlier leader may have renewed `canary_until` meanwhile.
    """
    if state.rebase is None:
        return False
    uid, decided_from = state.rebase
    return uid == state.uid and without_expiry(decided_from) == without_expiry(state.block)


def without_expiry(block: RoutingBlock | None) -> RoutingBlock | None:
    """The block without `canary_until`, which is renewed."""
    return None if block is None else replace(block, canary_until=None)


def describe_mismatch(state: State) -> str:
    """What the agents' file has instead of the intent, for a person."""
    intent, block, record = state.require_intent(), state.block, state.require_record()
    found = (
        "no routing"
        if block is None
        else f"routing of {block.salt or 'no rollout'} at step {block.rollout.step}, {block.rollout.state}, weight "
        f"{block.weight}, generation {block.generation}"
    )
    stable = state.file.entry.stable if state.file else None
    drift = (
        ""
        if same_target(stable, record.stable)
        else f"; stable is {stable.model if stable else 'absent'}, not {record.stable.model}"
    )
    return (
        f"the agents' file has {found}{drift}, but the operator wrote step {intent.step} with weight {intent.weight}, "
        f"generation {intent.generation}: a person or another tool changed it, so all sessions go back to stable"
    )


def renew_expiry(state: State) -> RolloutPlan | None:
    """Renews `canary_until` with the generation unchanged, and writes it again where somebody removed it.

    If no operator runs, it passes, and routers go back to stable by themselves; without it they never would.
    """
    block, file = state.block, state.file
    if state.rollout.status.intent is None or block is None or file is None:
        return None
    if block.canary_until is not None:
        left = (instant(block.canary_until) - state.now).total_seconds()
        if left > state.settings.canary_seconds - state.settings.renew_seconds:
            return None
    elif block.salt != state.uid or block.rollout.state != "Progressing":
        return None
    # `abort_if_expired` has ended a rollout whose block has expired: renewing it would be a raise without an intent.
    renewed = replace(block, canary_until=new_expiry(state))
    return Plan(
        steps=(
            write_routing(
                DesiredRouting(block=renewed),
                file=file,
                agent=state.require_record().agent,
                purpose="renew canary_until",
            ),
        ),
        requeue_after=0,
    )
