"""Which model the candidate is: from the history, from the Hub, or from a TrainingRun."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from modelops.api.v1alpha1.rollout import ModelRevision, RolloutPhase
from modelops.api.v1alpha1.trainingrun import TrainingPhase
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.plan import Plan
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import Target
from modelops.domain.rollout.abort import latch_abort
from modelops.domain.rollout.actions import RolloutFact, RolloutPlan
from modelops.domain.rollout.state import State
from modelops.domain.rollout.status import wait_in_phase
from modelops.domain.versions import Inputs, next_version

API_KEY_ENV = "HF_TOKEN"
RETRY_SECONDS = 15.0
NEW_COMMIT_SECONDS = 60
"""Age of a Rollout in seconds until which a commit that is not found is looked for again: it may be just made."""


@dataclass(frozen=True, kw_only=True)
class ResolvedCandidate:
    """The candidate's target; `unversioned` where its version is allocated together with the agent lock."""

    target: Target
    unversioned: bool = False


def endpoint_name(state: State, repo: str, revision: str) -> str:
    """The name of the candidate's endpoint, at most 32 characters.

    It follows from the AgentModel and the model's commit. So a crash never leads to a second endpoint, and two agents
    that try the same model never share an endpoint that one of them would stop.
    """
    meta, owner = state.rollout.metadata, state.rollout.spec.agent_model_ref.name
    text = f"{state.settings.installation}/{meta.namespace}/{owner}/{repo}@{revision}"
    return "mo-" + hashlib.sha256(text.encode()).hexdigest()[:20]


def hugging_face_target(state: State, *, repo: str, revision: str, version: str) -> Target:
    """A model of the Hub, served by an endpoint of its own."""
    return Target(
        version=version,
        model=repo,
        endpoint="huggingface",
        endpoint_url="",
        api_key_env=API_KEY_ENV,
        endpoint_name=endpoint_name(state, repo, revision),
        revision=revision,
    )


def candidate_field(state: State) -> str:
    """The field of the spec that names the candidate."""
    candidate = state.rollout.spec.candidate
    if candidate.version is not None:
        return "spec.candidate.version"
    return "spec.candidate.model" if candidate.model is not None else "spec.candidate.trainingRunRef"


def resolve_candidate(state: State) -> ResolvedCandidate | RolloutPlan:
    """The candidate, or the plan that waits for it or ends the rollout."""
    candidate = state.rollout.spec.candidate
    if candidate.version is not None:
        return resolve_version(state, candidate.version)
    if candidate.model is not None:
        return resolve_model(state, candidate.model)
    # The API takes exactly one member of spec.candidate.
    assert candidate.training_run_ref is not None
    return resolve_training_run(state, candidate.training_run_ref.name)


def resolve_version(state: State, version: str) -> ResolvedCandidate | RolloutPlan:
    """A version of the agent's history."""
    record = state.require_record()
    served = record.served.get(version)
    if served is not None:
        return ResolvedCandidate(target=served)
    entry = record.entry(version)
    if entry is None:
        known = ", ".join(
            [*record.served, *(e.version for e in record.history if e.version not in record.served)]
        )
        return latch_abort(
            state,
            RolloutReason.CandidateNotFound,
            f"spec.candidate.version {version} of Rollout {state.rollout.metadata.name} is not in the history of "
            f"{record.agent}: use one of these versions in a new rollout: {known}",
        )
    revision = str(entry.lineage.get("revision", ""))
    return ResolvedCandidate(
        target=hugging_face_target(state, repo=entry.hub_repo, revision=revision, version=entry.version)
    )


def resolve_model(state: State, model: ModelRevision) -> ResolvedCandidate | RolloutPlan:
    """A model on the Hub, which gets the next version number."""
    if state.candidate_model is UNSEEN:
        return Plan(needs=RolloutFact.CANDIDATE_MODEL)
    waiting = candidate_may_appear(state, model)
    if waiting is not None:
        return waiting
    if state.candidate_model is None or isinstance(state.candidate_model, Outage):
        words = f" ({state.candidate_model.message})" if state.candidate_model is not None else ""
        return latch_abort(
            state,
            RolloutReason.CandidateNotFound,
            f"spec.candidate.model {model.repo} at {model.revision} of Rollout {state.rollout.metadata.name} does not "
            f"exist on the Hub, or the token may not read it{words}: check the repository, the commit, and the token "
            f"in spec.secretRefs.huggingFace of AgentModel {state.rollout.spec.agent_model_ref.name}; then create a "
            "new rollout",
        )
    inputs = Inputs(
        base_model="",
        prompt_digest="",
        dataset_digest=model.repo,
        recipe_digest=model.revision,
    )
    version = next_version(state.require_record().allocated, inputs=inputs, latest=None)
    target = hugging_face_target(state, repo=model.repo, revision=model.revision, version=version)
    return ResolvedCandidate(target=target, unversioned=True)


def candidate_may_appear(state: State, model: ModelRevision) -> RolloutPlan | None:
    """Waits while the Hub does not answer or refuses the token, and after the first 404 (until the Rollout is a minute
    old, also after further ones).
    """
    found = state.candidate_model
    if isinstance(found, Outage) and (found.token_refused or not found.refused):
        reason = RolloutReason.TokenRefused if found.token_refused else RolloutReason.HubUnavailable
        message, after = found.message, found.retry_after or RETRY_SECONDS
    elif found is None:
        reason, after = RolloutReason.WaitingForCandidate, RETRY_SECONDS
        message = f"spec.candidate.model {model.repo} at {model.revision} is not on the Hub yet: it is looked for again"
        created = state.rollout.metadata.creation_timestamp
        is_new = created is not None and (state.now - created).total_seconds() < NEW_COMMIT_SECONDS
        if state.rollout.status.reason == reason.value and not is_new:
            return None
    else:
        return None
    return wait_in_phase(state, RolloutPhase.PENDING, reason, message, after=after)


def resolve_training_run(state: State, name: str) -> ResolvedCandidate | RolloutPlan:
    """The model of a TrainingRun, once the run has succeeded."""
    run = state.run
    named = f"TrainingRun {name} (spec.candidate.trainingRunRef of Rollout {state.rollout.metadata.name})"
    if run is None:
        return wait_in_phase(
            state,
            RolloutPhase.PENDING,
            RolloutReason.WaitingForCandidate,
            f"{named} does not exist{deleted_run_advice(state, name) or ' yet: create it'}",
            after=None,
        )
    if run.spec.agent_model_ref.name != state.rollout.spec.agent_model_ref.name:
        return latch_abort(
            state,
            RolloutReason.CandidateNotFound,
            f"{named} is for AgentModel {run.spec.agent_model_ref.name}, not for "
            f"{state.rollout.spec.agent_model_ref.name}: use a TrainingRun of that AgentModel in a new rollout",
        )
    if run.spec.estimate_only:
        return latch_abort(
            state,
            RolloutReason.CandidateNotFound,
            f"{named} only says what a training would cost (spec.estimateOnly), and makes no model: use a TrainingRun "
            "without spec.estimateOnly in a new rollout",
        )
    if run.status.phase in (TrainingPhase.FAILED, TrainingPhase.CANCELLED):
        return latch_abort(
            state,
            RolloutReason.CandidateNotFound,
            f"{named} ended as {run.status.phase.value} ({run.status.reason}) and has no model: use a TrainingRun that "
            "succeeded in a new rollout",
        )
    model = run.status.model
    if run.status.phase is not TrainingPhase.SUCCEEDED or model is None:
        return wait_in_phase(
            state,
            RolloutPhase.PENDING,
            RolloutReason.WaitingForCandidate,
            f"TrainingRun {name} is {run.status.phase.value}",
            after=None,
        )
    return ResolvedCandidate(
        target=hugging_face_target(state, repo=model.repo, revision=model.revision, version=model.version)
    )


def deleted_run_advice(state: State, name: str) -> str:
    """How to use the model of a deleted TrainingRun with this name; empty where no such run made a model.

    The model is not used without being asked for, because a new run with the same name may be created later.
    """
    completed = state.record.completed.values() if state.record else ()
    done = [d for d in completed if (d.kind, d.name) == ("TrainingRun", name) and d.revision]
    entry = state.record.entry(done[-1].version) if state.record and done else None
    if entry is None:
        return ""
    model = f"{{repo: {entry.hub_repo}, revision: {done[-1].revision}}}"
    return (
        f" any more; it made {entry.version}: use spec.candidate.model {model} in a new rollout, or create a new "
        "TrainingRun with this name"
    )
