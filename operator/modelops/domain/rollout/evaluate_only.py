"""The end of a rollout that only evaluates its candidate."""

from __future__ import annotations

from modelops.api.v1alpha1.agentmodel import EndpointRole
from modelops.domain.plan import Plan, WriteRecord
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import Completed
from modelops.domain.rollout.actions import RolloutPlan
from modelops.domain.rollout.endpoint_cost import release_endpoint, settle_reservation
from modelops.domain.rollout.evaluation_scores import with_candidate_counted, with_scores
from modelops.domain.rollout.state import State


def conclude_evaluate_only(state: State) -> RolloutPlan | None:
    """With spec.strategy.evaluateOnly the verdict is the result: no traffic moves, and the endpoint is stopped."""
    if state.rollout.spec.strategy.evaluate_only is None:
        return None
    record, candidate = state.require_record(), state.require_candidate()
    done = Completed(
        kind="Rollout",
        name=state.rollout.metadata.name,
        uid=state.uid,
        outcome=RolloutReason.EvaluatedOnly.value,
        version=candidate.version,
        message=f"{candidate.version} was evaluated; no traffic was moved, because spec.strategy.evaluateOnly is set",
        finished_at=state.now.isoformat(timespec="seconds"),
    )
    changed = settle_reservation(state, release_endpoint(state, record, EndpointRole.STOPPING))
    changed = with_scores(state, changed, candidate.version)
    if candidate.version not in record.served:
        changed = changed.with_entry(candidate.version, deployment_status="evaluated")
    changed = with_candidate_counted(state, changed).with_(
        completed={**record.completed, state.identity: done}, active=None
    )
    return Plan(steps=(WriteRecord(record=changed, purpose="release: evaluated only"),), requeue_after=0)
