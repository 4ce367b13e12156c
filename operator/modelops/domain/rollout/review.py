"""An evaluation that decided nothing, where a person decides instead (spec.evaluation.onInconclusive RequireApproval).

While the person thinks, the rollout has neither the agent's lock nor an endpoint, so nothing is billed and other
rollouts go on. After the approval it locks the agent again and goes to the canary's first weight; there it stays until
a person approves the rest.
"""

from __future__ import annotations

from modelops.api.v1alpha1.agentmodel import EndpointRole
from modelops.api.v1alpha1.rollout import ApprovalStage, OnInconclusive, RolloutPhase
from modelops.domain.conditions import condition_of
from modelops.domain.plan import Plan, WriteRecord
from modelops.domain.reasons import RolloutReason
from modelops.domain.rollout.abort import latch_abort
from modelops.domain.rollout.actions import RolloutPlan
from modelops.domain.rollout.endpoint_cost import release_endpoint, settle_reservation
from modelops.domain.rollout.evaluation_scores import evaluation_basis, with_candidate_counted, with_scores
from modelops.domain.rollout.state import State


def asks_a_person(state: State) -> bool:
    """Whether a person decides if the evaluation does not; the default of a canary, also after a second look."""
    is_canary = state.rollout.spec.strategy.canary is not None
    return is_canary and state.rollout.spec.evaluation.on_inconclusive is not OnInconclusive.REJECT


def is_in_review(state: State) -> bool:
    """Whether the evaluation decided nothing, and the rollout has not gone on since."""
    status = state.rollout.status
    return status.evaluated is not None and status.phase is not RolloutPhase.PROGRESSING and _undecided(state)


def is_on_trial(state: State) -> bool:
    """Whether the canary runs although the evaluation decided nothing, and nobody has approved the rest."""
    return _undecided(state) and not was_approved(state)


def was_approved(state: State) -> bool:
    """Whether a person has approved the rest of the rollout."""
    return any(one.stage is ApprovalStage.PROMOTION for one in state.rollout.status.approvals)


def _undecided(state: State) -> bool:
    evaluation = state.rollout.status.evaluated
    return evaluation is not None and evaluation.verdict == "inconclusive"


def release_agent_for_review(state: State) -> RolloutPlan | None:
    """Releases lock and endpoint, and books what the evaluation has cost. The status said so before.

    The rollout is not completed: it may lock the agent again. Once there is an offer, this has been done.
    """
    status = state.rollout.status
    waits = status.phase is RolloutPhase.AWAITING_APPROVAL and status.evaluated is not None
    if not state.holds_agent_lock or not waits or status.offer is not None:
        return None
    record, version = state.require_record(), state.require_candidate().version
    changed = settle_reservation(state, release_endpoint(state, record, EndpointRole.STOPPING))
    changed = with_scores(state, changed, version)
    if version not in record.served and record.entry(version) is not None:
        changed = changed.with_entry(version, deployment_status="evaluated")
    changed = with_candidate_counted(state, changed).with_(active=None)
    return Plan(
        steps=(WriteRecord(record=changed, purpose="release: a person reviews the evaluation"),),
        requeue_after=0,
    )


def end_outdated_review(state: State) -> RolloutPlan | None:
    """The verdict holds for one stable model, prompt and dataset; after a change of them nothing can be approved."""
    evaluation = state.rollout.status.evaluated
    if evaluation is None or evaluation.basis == evaluation_basis(state):
        return None
    message = (
        "the evaluation was inconclusive, and since then the stable model, spec.prompt of AgentModel "
        f"{state.require_agent_model().metadata.name} or the dataset changed: create a new rollout to evaluate again"
    )
    return latch_abort(state, RolloutReason.EvaluationInconclusive, message)


def verdict_words(state: State) -> str:
    """What the evaluation found: counts, interval, and the examples that are still needed."""
    found = condition_of(state.rollout.status.conditions, "Evaluated")
    return f"the evaluation decided nothing. {found.message if found is not None else ''}".strip()
