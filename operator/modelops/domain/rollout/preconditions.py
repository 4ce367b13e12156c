"""What must hold before a rollout may lock its agent. Each check returns the plan that waits or ends the rollout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from modelops.api.v1alpha1.rollout import RolloutPhase
from modelops.domain.drift import drift_between
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import PRUNED, PRUNING, Target
from modelops.domain.rollout.abort import latch_abort
from modelops.domain.rollout.actions import RolloutPlan
from modelops.domain.rollout.candidate import candidate_field
from modelops.domain.rollout.evaluation import discard_evaluation_check, is_proven
from modelops.domain.rollout.evaluation_scores import evaluation_dataset
from modelops.domain.rollout.freeze import agent_is_frozen
from modelops.domain.rollout.routing_write import try_every_edit
from modelops.domain.rollout.state import State
from modelops.domain.rollout.status import wait_in_phase
from modelops.domain.rollout.turn import another_one_is_first, may_supersede
from modelops.domain.undo import is_not_after, undone_at, unrecorded_mark

RETRY_SECONDS = 15.0


def agent_model_is_missing(state: State) -> RolloutPlan | None:
    """Without AgentModel and record nothing can be decided; a rollout that has the lock aborts."""
    name = state.rollout.spec.agent_model_ref.name
    if state.agent_model is None:
        namespace = state.rollout.metadata.namespace
        message = f"AgentModel {name} (spec.agentModelRef) does not exist in namespace {namespace}: create it"
    elif state.record is None:
        message = f"AgentModel {name} (spec.agentModelRef) has no record yet: see its conditions"
    else:
        return None
    if state.agent_model is None and state.holds_agent_lock:
        return latch_abort(
            state, RolloutReason.AgentModelNotFound, f"{message}. All sessions go back to stable"
        )
    return wait_in_phase(
        state, state.rollout.status.phase, RolloutReason.AgentModelNotFound, message, after=RETRY_SECONDS
    )


def secret_is_not_usable(state: State) -> RolloutPlan | None:
    """Without the agent's own tokens no service is asked: the installation's tokens are only for cleaning up.

    An undo does not come here: its AgentModel asks the services, and only for an endpoint.
    """
    if not state.secret_problem:
        return None
    return wait_in_phase(
        state,
        state.rollout.status.phase,
        RolloutReason.SecretNotUsable,
        state.secret_problem,
        after=RETRY_SECONDS,
    )


def abort_if_candidate_pruned(state: State, candidate: Target) -> RolloutPlan | None:
    """`modelops prune` marks a version in the record before it deletes the model; then no rollout may use it."""
    entry = state.require_record().entry_of(candidate.model)
    since = entry and (entry.lineage.get(PRUNED) or entry.lineage.get(PRUNING))
    if not since:
        return None
    return latch_abort(
        state,
        RolloutReason.CandidateNotFound,
        f"{candidate_field(state)} of Rollout {state.rollout.metadata.name} is {candidate.version}, whose repository "
        f"{candidate.model} was removed from the Hub by `modelops prune` at {since}: use another version in a new "
        "rollout, or train it again",
    )


def abort_if_candidate_serves(state: State, candidate: Target) -> RolloutPlan | None:
    """A candidate with the version or the commit of the stable model cannot replace it."""
    record = state.require_record()
    stable = record.stable
    same_commit = (candidate.model, candidate.revision) == (stable.model, stable.revision)
    if candidate.version != stable.version and not same_commit:
        return None
    return latch_abort(
        state,
        RolloutReason.CandidateNotFound,
        f"{candidate_field(state)} of Rollout {state.rollout.metadata.name} is {candidate.version} "
        f"({candidate.model}), which already serves {record.agent}: use another model in a new rollout",
    )


def prompt_contract_is_missing(state: State, candidate: Target) -> RolloutPlan | None:  # noqa: ARG001
    """The evaluation asks both models with the agent's prompt contract."""
    agent = state.require_agent_model()
    if agent.spec.prompt is not None or is_proven(state):
        return None
    message = f"AgentModel {agent.metadata.name} has no spec.prompt: add the prompt contract that the agent really uses"
    return wait_in_phase(state, RolloutPhase.PENDING, RolloutReason.NoPromptContract, message, after=None)


def abort_if_no_evaluation_dataset(state: State, candidate: Target) -> RolloutPlan | None:  # noqa: ARG001
    """A candidate that was never stable needs a held-out dataset."""
    if is_proven(state) or evaluation_dataset(state):
        return None
    return latch_abort(
        state,
        RolloutReason.NoDataset,
        "no held-out dataset: set spec.evaluation.dataset in a new rollout, or set spec.langsmith.evaluationDataset of "
        f"AgentModel {state.require_agent_model().metadata.name} before you create a new rollout",
    )


def open_router_key_is_missing(state: State, candidate: Target) -> RolloutPlan | None:
    """The evaluation asks models at OpenRouter with a key of the AgentModel's Secrets, not with the agent's own key."""
    record, agent = state.require_record(), state.require_agent_model()
    asked = next((t.model for t in (record.stable, candidate) if t.endpoint == "openrouter"), None)
    if is_proven(state) or asked is None or agent.spec.secret_refs.open_router is not None:
        return None
    message = (
        f"AgentModel {agent.metadata.name} has no spec.secretRefs.openRouter, and the evaluation asks {asked} at "
        "OpenRouter: set it to the Secret and the key in it"
    )
    return wait_in_phase(state, RolloutPhase.PENDING, RolloutReason.SecretNotUsable, message, after=None)


def another_rollout_is_active(state: State, candidate: Target) -> RolloutPlan | None:  # noqa: ARG001
    """An agent has one rollout at a time."""
    record = state.require_record()
    if record.active is None or may_supersede(state):
        return None
    message = (
        f"Rollout {record.active.name} has the lock on agent {record.agent}: this rollout waits until that one has "
        "ended"
    )
    plan = wait_in_phase(state, RolloutPhase.PENDING, RolloutReason.AnotherRolloutActive, message, after=None)
    return replace(plan, steps=(*plan.steps, *discard_evaluation_check(state)))


def an_undo_is_under_way(state: State, candidate: Target) -> RolloutPlan | None:  # noqa: ARG001
    """Lock 2: no undo is on record, and the file has no mark of one that the record lacks."""
    record = state.require_record()
    mark = unrecorded_mark(record, state.block)
    if record.undo is None and mark is None:
        return None
    to = record.undo.to if record.undo is not None else mark.rollout.undo if mark is not None else ""
    message = f"an undo of agent {record.agent} to {to} is under way: this rollout waits for its end"
    return wait_in_phase(state, RolloutPhase.PENDING, RolloutReason.WaitingForUndo, message, after=None)


def a_drill_is_under_way(state: State, candidate: Target) -> RolloutPlan | None:  # noqa: ARG001
    """Its write of the file would end an intent that is based on the file before it (designs/025)."""
    drill = state.require_record().drill
    if drill is None:
        return None
    message = f"a rollback is rehearsed (spec.drill {drill.id}), which takes seconds: this rollout waits for its end"
    return wait_in_phase(
        state, RolloutPhase.PENDING, RolloutReason.WaitingForDrill, message, after=RETRY_SECONDS
    )


def promotion_is_watched(state: State, candidate: Target) -> RolloutPlan | None:  # noqa: ARG001
    """Watch 1: other claims wait; where a claim ended the watch, a queue would switch it off."""
    watch = state.require_record().watch
    if watch is None:
        return None
    message = (
        f"{watch.version}, which Rollout {watch.name} promoted, is watched until {watch.until} "
        "(strategy.postPromotion): this rollout waits. An undo does not wait"
    )
    return wait_in_phase(
        state, RolloutPhase.PENDING, RolloutReason.WatchingPromotion, message, after=RETRY_SECONDS
    )


def abort_if_version_undone(state: State, candidate: Target) -> RolloutPlan | None:
    """Undo 7: a rollout that was created before an undo does not bring back what that undo left."""
    at = undone_at(state.require_record(), candidate)
    if not is_not_after(state.rollout.metadata.creation_timestamp, at):
        return None
    return latch_abort(
        state,
        RolloutReason.VersionUndone,
        f"{candidate_field(state)} of Rollout {state.rollout.metadata.name} is {candidate.version} "
        f"({candidate.model}), which an undo left at {at}, after this rollout was created: create a new rollout to try "
        "it again",
    )


def agents_file_is_not_usable(state: State, candidate: Target) -> RolloutPlan | None:  # noqa: ARG001
    """The agents' file must be readable before any traffic is promised to the candidate."""
    if state.file is not None:
        return None
    return wait_in_phase(
        state,
        RolloutPhase.PENDING,
        RolloutReason.ConfigNotUsable,
        state.file_problem or "the agents' file has not been read yet",
        after=RETRY_SECONDS,
    )


def stable_has_drifted(state: State, candidate: Target) -> RolloutPlan | None:  # noqa: ARG001
    """The agents' file and the record must name the same stable model."""
    record, file = state.require_record(), state.require_file()
    name = state.rollout.spec.agent_model_ref.name
    drift = drift_between(record, file.entry, agent_model=name)
    if drift is not None:
        return wait_in_phase(
            state, RolloutPhase.PENDING, RolloutReason.StableDrift, drift, after=RETRY_SECONDS
        )
    return None


def every_edit_is_possible(state: State, candidate: Target) -> None:
    """Tries each edit of the agents' file that the rollout may need, the promotion and its reversal included.

    Raises:
        UneditableAgentsFile: the file's form does not allow an edit; better now than after the money is spent.
    """
    try_every_edit(
        file=state.require_file(), uid=state.uid, candidate=candidate, record=state.require_record()
    )


def pods_miss_changes(state: State, candidate: Target) -> RolloutPlan | None:  # noqa: ARG001
    """A Pod that never sees a change would not follow the canary, nor the way back."""
    if not state.mount_problem:
        return None
    return wait_in_phase(
        state,
        RolloutPhase.PENDING,
        RolloutReason.ConfigNotUsable,
        state.mount_problem,
        after=RETRY_SECONDS,
    )


def another_agent_model_owns_the_agent(state: State, candidate: Target) -> RolloutPlan | None:  # noqa: ARG001
    """Only one AgentModel may move the traffic of an agent; the newer one only reports the conflict."""
    if not state.older_owner:
        return None
    agent = state.require_agent_model()
    message = (
        f"AgentModel {state.older_owner} already owns agent {agent.spec.agent} in ConfigMap "
        f"{agent.spec.config.config_map_ref.name}, so AgentModel {agent.metadata.name} moves no traffic: delete one of "
        "them"
    )
    return wait_in_phase(
        state, RolloutPhase.PENDING, RolloutReason.TargetConflict, message, after=RETRY_SECONDS
    )


PRECONDITIONS: tuple[Callable[[State, Target], RolloutPlan | None], ...] = (
    another_agent_model_owns_the_agent,
    abort_if_candidate_pruned,
    an_undo_is_under_way,
    a_drill_is_under_way,
    abort_if_version_undone,
    abort_if_candidate_serves,
    prompt_contract_is_missing,
    abort_if_no_evaluation_dataset,
    open_router_key_is_missing,
    agent_is_frozen,
    another_rollout_is_active,
    another_one_is_first,
    promotion_is_watched,
    agents_file_is_not_usable,
    pods_miss_changes,
    stable_has_drifted,
    every_edit_is_possible,
)


def unmet_precondition(state: State, candidate: Target) -> RolloutPlan | None:
    """The plan of the first check that does not hold."""
    for check in PRECONDITIONS:
        plan = check(state, candidate)
        if plan is not None:
            return plan
    return None
