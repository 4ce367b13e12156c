"""Promoting the candidate to stable: protocol "Promote"."""

from __future__ import annotations

from datetime import timedelta

from modelops.api.v1alpha1.agentmodel import EndpointRole
from modelops.api.v1alpha1.rollout import Intent, RolloutPhase
from modelops.domain.analysis.metrics import NO_COUNTS, SESSIONS, Counts, add, only_errors
from modelops.domain.plan import Plan, WriteRecord
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import Completed, EndpointEntry, Record, Target, Watch
from modelops.domain.rollout.actions import RolloutPlan
from modelops.domain.rollout.analysis_summary import analysis_at_abort
from modelops.domain.rollout.endpoint_cost import candidate_endpoint, settle_reservation
from modelops.domain.rollout.evaluation_scores import with_candidate_counted, with_scores
from modelops.domain.rollout.low_traffic import known_at_promotion
from modelops.domain.rollout.routing import block_of, next_generation
from modelops.domain.rollout.routing_write import DesiredRouting, write_routing
from modelops.domain.rollout.state import State, stable_keys
from modelops.domain.rollout.status import status_steps, with_phase
from modelops.domain.rollout.targets import require_promoted_target
from modelops.domain.undo import without_undone
from modelops.ports import SessionReports


def promote(state: State) -> RolloutPlan:
    """Promote 1 to 3: the intent, then the stable keys and the Promoted block in one write, then the commit."""
    file, target = state.require_file(), require_promoted_target(state)
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
    # After `await_agents_in_sync` every agent has confirmed the last step.
    status = with_phase(
        state,
        RolloutPhase.PROMOTING,
        RolloutReason.Promoting,
        message,
        facts={"RoutingPropagated": True},
        intent=intent,
        promoting=True,
        analysis=analysis_at_abort(state),
    )
    return Plan(
        steps=(
            *status_steps(state, status, RolloutReason.Promoting, message),
            write_routing(
                DesiredRouting(block=block_of(state, intent, target), stable=stable_keys(target)),
                file=file,
                agent=state.require_record().agent,
                purpose=f"promote {target.version}",
                follows_new_intent=state.uid,
                raises=True,
            ),
            WriteRecord(record=promoted_record(state), purpose=f"commit {target.version}"),
        ),
        requeue_after=0,
    )


def promoted_record(state: State) -> Record:
    """Promote 3, the commit: the record with the candidate as stable and the lock released."""
    record, target = state.require_record(), require_promoted_target(state)
    old = state.rollout.status.candidate
    before = record.active.candidate.version if record.active else target.version
    done = Completed(
        kind="Rollout",
        name=state.rollout.metadata.name,
        uid=state.uid,
        outcome=RolloutReason.Promoted.value,
        version=target.version,
        message=f"{target.version} ({target.model}) is stable; {record.stable.version} is kept for an undo"
        f"{known_at_promotion(state)}",
        revision=old.revision if old else "",
        finished_at=state.now.isoformat(timespec="seconds"),
    )
    changed = with_scores(state, settle_reservation(state, record), before)
    changed = changed.with_(endpoints=endpoints_after_promotion(state, changed))
    changed = changed.with_entry(record.stable.version, deployment_status="superseded")
    changed = changed.with_entry(before, deployment_status="deployed", version=target.version)
    allocated = dict(changed.allocated)
    if before != target.version and before in allocated:
        allocated[target.version] = allocated.pop(before)
    return without_undone(with_candidate_counted(state, changed), target).with_(
        stable=target,
        previous=record.stable,
        deployed_at=target.since,
        served={**changed.served, target.version: target},
        allocated=allocated,
        completed={**changed.completed, state.identity: done},
        active=None,
        watch=watch_after(state, target),
    )


def watch_after(state: State, target: Target) -> Watch | None:
    """Watch 1: the watch that the commit begins, where the rollout asks for one.

    It has everything that it needs, because the Rollout may be deleted meanwhile.
    """
    asked, record = state.rollout.spec.strategy.post_promotion, state.require_record()
    if asked is None:
        return None
    return Watch(
        version=target.version,
        back=record.stable.version,
        until=(state.now + timedelta(seconds=asked.duration_seconds)).isoformat(timespec="seconds"),
        uid=state.uid,
        name=state.rollout.metadata.name,
        limits=state.rollout.spec.analysis.wire(),
        before=sessions_before(state, target),
    )


def sessions_before(state: State, promoted: Target) -> Counts:
    """Sessions of the version that is left, and their errors.

    Where the commit is repeated, agents may report the promoted version as stable already. Then they are what the last
    judgement left in the status, with each session that had an error counted as failed from its first request on: a
    rate that is too high cannot cause an alarm.
    """
    found = state.reports.sessions if state.reports is not None else SessionReports()
    counts = add((found.stable.folded, *(bucket for _, bucket in found.stable.live)))
    if counts[SESSIONS] and found.stable_version != promoted.version:
        return only_errors(counts)
    analysis = state.rollout.status.analysis
    kept = analysis.stable if analysis is not None else None
    if kept is None:
        return NO_COUNTS
    failed = kept.failed_sessions
    return (kept.sessions, failed, failed, failed, 0, 0, 0)


def endpoints_after_promotion(state: State, record: Record) -> tuple[EndpointEntry, ...]:
    """The endpoints with their new roles: the old stable's endpoint runs on for the rollback window."""
    window = state.agent_model.spec.rollback_window_seconds if state.agent_model else 86400
    stop = (state.now + timedelta(seconds=window)).isoformat(timespec="seconds")
    candidate = candidate_endpoint(record)
    entries = []
    for entry in record.endpoints:
        if candidate is not None and entry.name == candidate.name:
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
