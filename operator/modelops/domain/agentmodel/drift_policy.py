"""What follows where the agents' file names another stable model than the record: protocol "Drift", with its numbers.

Hold changes nothing. The other two act only while no rollout is active, no undo is under way and no promotion is
watched: each of these ends first, in steps of its own.
"""

from __future__ import annotations

from modelops.api.v1alpha1.agentmodel import DriftPolicy
from modelops.domain.agentmodel.actions import AgentModelFact, AgentModelPlan
from modelops.domain.agentmodel.drift_held import adoptable, commit_of, why_held
from modelops.domain.agentmodel.state import State
from modelops.domain.agentmodel.undo import next_generation
from modelops.domain.agentmodel.undo_record import endpoints_after
from modelops.domain.agentsfile import RoutingBlock
from modelops.domain.plan import Announce, Plan, WriteRecord
from modelops.domain.record import Record, Target
from modelops.domain.rollout.routing_write import DesiredRouting, write_routing
from modelops.domain.rollout.state import File, same_target, stable_keys
from modelops.domain.undo import unrecorded_mark, with_undone

BY_DRIFT = "drift"
"""Whose routing block it is that puts the stable keys back."""


def follow_drift_policy(state: State) -> AgentModelPlan | None:
    """3 and 4: takes the file's version over, or puts the record's back once. None where the drift is held."""
    record, file, policy = state.require_record(), state.file, state.agent_model.spec.drift_policy
    if policy is DriftPolicy.HOLD or file is None or not has_settled_drift(state, record, file):
        return None
    if why_held(state) is not None:
        return None
    if not state.live:
        return Plan(needs=AgentModelFact.LIVE)
    if policy is DriftPolicy.RESTORE:
        return put_back(state, record, file)
    target = adoptable(record, file.entry.stable)
    return adopt(state, record, target) if isinstance(target, Target) else None


def has_settled_drift(state: State, record: Record, file: File) -> bool:
    """Whether file and record differ, and nothing is under way that will make them agree or retreat from it."""
    busy = (
        record.active,
        record.undo,
        record.watch,
        record.drill,
        state.agent_model.metadata.deletion_timestamp,
    )
    if any(one is not None for one in busy) or unrecorded_mark(record, file.entry.routing) is not None:
        return False
    return not same_target(file.entry.stable, record.stable)


def adopt(state: State, record: Record, target: Target) -> AgentModelPlan:
    """3: one write of the record. What was stable counts as left, so that nothing older brings it back."""
    old, at = record.stable, state.now.isoformat(timespec="seconds")
    stable = target.model_copy(update={"since": state.now.strftime("%Y-%m-%dT%H:%M:%SZ")})
    changed = record.with_(
        endpoints=endpoints_after(state, record, old, stable),
        stable=stable,
        previous=old,
        deployed_at=stable.since,
        served={**record.served, stable.version: stable},
    )
    changed = with_undone(changed, [old], to=stable, at=at)
    changed = changed.with_entry(old.version, deployment_status="superseded")
    changed = changed.with_entry(stable.version, deployment_status="deployed")
    message = (
        f"the agents' file was changed from {old.version} to {stable.version} ({stable.model}), which served before: "
        "the record follows (spec.driftPolicy Adopt)"
    )
    return Plan(
        steps=(
            WriteRecord(record=changed, purpose=f"adopt {stable.version} from the agents' file"),
            Announce(reason="DriftAdopted", message=message, warning=True),
        ),
        requeue_after=0,
    )


def put_back(state: State, record: Record, file: File) -> AgentModelPlan:
    """4: counted in the record first, so that it is done once for each commit, also by a process that stops between."""
    found = file.entry.stable
    model = found.model if found is not None and found.model else "no model"
    message = (
        f"the agents' file named {model} as stable, and {record.stable.version} ({record.stable.model}) is on record: "
        "the keys are put back, once (spec.driftPolicy Restore)"
    )
    counted = record.with_(restored=commit_of(record))
    write = write_routing(
        DesiredRouting(
            block=RoutingBlock.aborted(uid=BY_DRIFT, step=0, generation=next_generation(state, file)),
            stable=stable_keys(record.stable),
        ),
        file=file,
        agent=record.agent,
        purpose=f"put {record.stable.version} back",
        restores_stable=True,
    )
    return Plan(
        steps=(
            WriteRecord(record=counted, purpose=f"count that {record.stable.version} is put back"),
            write,
            Announce(reason="DriftRestored", message=message, warning=True),
        ),
        requeue_after=0,
    )
