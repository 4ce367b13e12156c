"""Resolving the candidate, covering its cost, and claiming the agent: protocol "Claim".

Nothing before the claim acts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from modelops.api.v1alpha1.agentmodel import EndpointRole
from modelops.api.v1alpha1.names import FINALIZER
from modelops.api.v1alpha1.rollout import CandidateStatus, RolloutPhase
from modelops.api.v1alpha1.trainingrun import TrainingPhase
from modelops.domain.agentsfile import RoutingBlock, edit
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.money import dollars, micro, shown
from modelops.domain.plan import Plan, WriteFinalizers, WriteRecord
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import PRUNED, PRUNING, Active, EndpointEntry, Reservation, Target
from modelops.domain.rollout.abort import ended, latch_abort
from modelops.domain.rollout.actions import RolloutFact, RolloutPlan
from modelops.domain.rollout.booking import evaluation_dataset, planned_micro_usd
from modelops.domain.rollout.evaluation import ensure_evaluation_checked, is_proven, outdated
from modelops.domain.rollout.state import State, same_target
from modelops.domain.rollout.status import status_steps, wait, with_phase
from modelops.domain.versions import Inputs, next_version

API_KEY_ENV = "HF_TOKEN"
LOOK_AGAIN = 15.0


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What the candidate is; `unversioned` where its version is allocated with the claim."""

    target: Target
    unversioned: bool = False


def endpoint_name(state: State, repo: str, revision: str) -> str:
    """At most 32 characters; follows from owner and model, so that a crash makes no second one.

    The owner is the AgentModel: two agents that try the same model never share what one of them would stop.
    """
    meta, owner = state.rollout.metadata, state.rollout.spec.agent_model_ref.name
    text = f"{state.settings.installation}/{meta.namespace}/{owner}/{repo}@{revision}"
    return "mo-" + hashlib.sha256(text.encode()).hexdigest()[:20]


def hugging_face_target(state: State, *, repo: str, revision: str, version: str) -> Target:
    return Target(
        version=version,
        model=repo,
        endpoint="huggingface",
        endpoint_url="",
        api_key_env=API_KEY_ENV,
        endpoint_name=endpoint_name(state, repo, revision),
        revision=revision,
    )


def resolve(state: State) -> Resolved | RolloutPlan:
    """The candidate, or the plan that waits for it or ends the rollout."""
    candidate, record = state.rollout.spec.candidate, state.require_record()
    name, agent = state.rollout.metadata.name, state.rollout.spec.agent_model_ref.name
    if candidate.version is not None:
        served = record.served.get(candidate.version)
        if served is not None:
            return Resolved(target=served)
        entry = record.entry(candidate.version)
        if entry is None:
            known = ", ".join(
                [*record.served, *(e.version for e in record.history if e.version not in record.served)]
            )
            return latch_abort(
                state,
                RolloutReason.CandidateNotFound,
                f"spec.candidate.version {candidate.version} of Rollout {name} is not in the history of "
                f"{record.agent}: name one that is, in a new rollout: {known}",
            )
        revision = str(entry.lineage.get("revision", ""))
        return Resolved(
            target=hugging_face_target(state, repo=entry.hub_repo, revision=revision, version=entry.version)
        )
    if candidate.model is not None:
        if state.candidate_model is UNSEEN:
            return Plan(needs=RolloutFact.CANDIDATE_MODEL)
        if isinstance(state.candidate_model, Outage) and not state.candidate_model.refused:
            return Plan(requeue_after=state.candidate_model.retry_after or LOOK_AGAIN)
        if state.candidate_model is None or isinstance(state.candidate_model, Outage):
            words = f" ({state.candidate_model.message})" if state.candidate_model is not None else ""
            return latch_abort(
                state,
                RolloutReason.CandidateNotFound,
                f"spec.candidate.model {candidate.model.repo} at {candidate.model.revision} of Rollout {name} is not "
                f"on the Hub, or the token may not read it{words}: check repository and commit, and the token in "
                f"spec.secretRefs.huggingFace of AgentModel {agent}; then create a new rollout",
            )
        inputs = Inputs(
            base_model="",
            prompt_digest="",
            dataset_digest=candidate.model.repo,
            recipe_digest=candidate.model.revision,
        )
        version = next_version(record.allocated, inputs=inputs, latest=None)
        target = hugging_face_target(
            state, repo=candidate.model.repo, revision=candidate.model.revision, version=version
        )
        return Resolved(target=target, unversioned=True)
    return of_run(state)


def of_run(state: State) -> Resolved | RolloutPlan:
    reference = state.rollout.spec.candidate.training_run_ref
    # The API takes exactly one member of spec.candidate, and `resolve` has handled the other two.
    assert reference is not None
    run = state.run
    named = f"TrainingRun {reference.name} (spec.candidate.trainingRunRef of Rollout {state.rollout.metadata.name})"
    if run is None:
        return wait(
            state,
            RolloutPhase.PENDING,
            RolloutReason.WaitingForCandidate,
            f"{named} does not exist{left_by(state, reference.name) or ' yet'}: create it",
            after=None,
        )
    if run.spec.agent_model_ref.name != state.rollout.spec.agent_model_ref.name:
        return latch_abort(
            state,
            RolloutReason.CandidateNotFound,
            f"{named} is for AgentModel {run.spec.agent_model_ref.name}, not for "
            f"{state.rollout.spec.agent_model_ref.name}: name one of its runs in a new rollout",
        )
    if run.status.phase in (TrainingPhase.FAILED, TrainingPhase.CANCELLED):
        return latch_abort(
            state,
            RolloutReason.CandidateNotFound,
            f"{named} ended as {run.status.phase.value} ({run.status.reason}) and has no model: name a run that "
            "succeeded in a new rollout",
        )
    model = run.status.model
    if run.status.phase is not TrainingPhase.SUCCEEDED or model is None:
        return wait(
            state,
            RolloutPhase.PENDING,
            RolloutReason.WaitingForCandidate,
            f"TrainingRun {reference.name} is {run.status.phase.value}",
            after=None,
        )
    return Resolved(
        target=hugging_face_target(state, repo=model.repo, revision=model.revision, version=model.version)
    )


def left_by(state: State, name: str) -> str:
    """What a run of this name made that is gone; empty where none did. It is not taken: a new one may be on its way."""
    completed = state.record.completed.values() if state.record else ()
    done = [d for d in completed if (d.kind, d.name) == ("TrainingRun", name) and d.revision]
    entry = state.record.entry(done[-1].version) if state.record and done else None
    if entry is None:
        return ""
    model = f"{{repo: {entry.hub_repo}, revision: {done[-1].revision}}}"
    return f" any more; it made {entry.version}: name spec.candidate.model {model} in a new rollout, or, for a new run"


def agent_model_is_missing(state: State) -> RolloutPlan | None:
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
            state, RolloutReason.AgentModelNotFound, f"{message}. Everything goes back to stable"
        )
    return wait(
        state, state.rollout.status.phase, RolloutReason.AgentModelNotFound, message, after=LOOK_AGAIN
    )


def secret_is_not_usable(state: State) -> RolloutPlan | None:
    """Without the agent's own tokens nobody is asked: what is at hand then are the installation's, for cleaning up."""
    if not state.secret_problem:
        return None
    return wait(
        state,
        state.rollout.status.phase,
        RolloutReason.SecretNotUsable,
        state.secret_problem,
        after=LOOK_AGAIN,
    )


def ensure_agent_locked(state: State) -> RolloutPlan | None:
    """Claim 1 and 2, in this order: finalizer, then the record, only while nothing is active and the file agrees."""
    record, agent = state.require_record(), state.require_agent_model()
    if state.holds_agent_lock:
        return None
    if state.rollout.status.intent is not None or state.rollout.status.started_at is not None:
        return conclude_lost_lock(state)
    unusable = secret_is_not_usable(state)
    if unusable is not None:
        return unusable
    found = resolve(state)
    if isinstance(found, Plan):
        return found
    gone = model_is_removed(state, found.target)
    if gone is not None:
        return gone
    if serves(record.stable, found.target):
        return latch_abort(
            state,
            RolloutReason.CandidateNotFound,
            f"{member_of(state)} of Rollout {state.rollout.metadata.name} is {found.target.version} "
            f"({found.target.model}), which already serves {record.agent}: name another one in a new rollout",
        )
    proven = is_proven(state)
    if agent.spec.prompt is None and not proven:
        name = agent.metadata.name
        message = f"AgentModel {name} has no spec.prompt: add the prompt contract that the agent really uses"
        return wait(state, RolloutPhase.PENDING, RolloutReason.NoPromptContract, message, after=None)
    if not proven and not evaluation_dataset(state):
        return latch_abort(
            state,
            RolloutReason.NoDataset,
            "no held-out dataset: set spec.evaluation.dataset in a new rollout, or spec.langsmith.evaluationDataset "
            f"of AgentModel {agent.metadata.name} before it",
        )
    unnamed = None if proven else open_router_key_is_not_named(state, found.target)
    if unnamed is not None:
        return unnamed
    if record.active is not None:
        message = f"Rollout {record.active.name} holds {record.agent}; this one waits for its end"
        plan = wait(state, RolloutPhase.PENDING, RolloutReason.AnotherRolloutActive, message, after=None)
        return replace(plan, steps=(*plan.steps, *outdated(state)))
    if state.file is None:
        return wait(
            state,
            RolloutPhase.PENDING,
            RolloutReason.ConfigNotUsable,
            state.file_problem or "the agents' file was not read yet",
            after=LOOK_AGAIN,
        )
    if not same_target(state.file.entry.stable, record.stable):
        stable = state.file.entry.stable
        message = (
            f"the agents' file names {stable.model if stable else 'no model'} as stable and the record "
            f"{record.stable.model} ({record.stable.version}): make them agree"
        )
        return wait(state, RolloutPhase.PENDING, RolloutReason.StableDrift, message, after=LOOK_AGAIN)
    # Raises UneditableAgentsFile now, not when traffic is to be moved.
    edit(state.file.text, record.agent, routing=RoutingBlock.aborted(uid=state.uid, step=0, generation=0))
    return covered(state, found)


def model_is_removed(state: State, candidate: Target) -> RolloutPlan | None:
    """`modelops prune` says so in the record before it deletes: a claim on top of that is refused here."""
    record = state.require_record()
    entry = record.entry_of(candidate.model)
    since = entry and (entry.lineage.get(PRUNED) or entry.lineage.get(PRUNING))
    if not since:
        return None
    return latch_abort(
        state,
        RolloutReason.CandidateNotFound,
        f"{member_of(state)} of Rollout {state.rollout.metadata.name} is {candidate.version}, whose repository "
        f"{candidate.model} was removed from the Hub by `modelops prune` at {since}: name another version in a new "
        "rollout, or train it again",
    )


def open_router_key_is_not_named(state: State, candidate: Target) -> RolloutPlan | None:
    """The evaluation asks OpenRouter's models with the operator's key, not with the agent's."""
    record, agent = state.require_record(), state.require_agent_model()
    asked = next((t.model for t in (record.stable, candidate) if t.endpoint == "openrouter"), None)
    if asked is None or agent.spec.secret_refs.open_router is not None:
        return None
    message = (
        f"AgentModel {agent.metadata.name} has no spec.secretRefs.openRouter, and the evaluation asks {asked} at "
        "OpenRouter: name the Secret and the key in it"
    )
    return wait(state, RolloutPhase.PENDING, RolloutReason.SecretNotUsable, message, after=None)


def member_of(state: State) -> str:
    """The field that names the candidate."""
    candidate = state.rollout.spec.candidate
    if candidate.version is not None:
        return "spec.candidate.version"
    return "spec.candidate.model" if candidate.model is not None else "spec.candidate.trainingRunRef"


def conclude_lost_lock(state: State) -> RolloutPlan:
    """A record that does not name us may only be an old copy in the cache: the write proves that it is not."""
    message = "the record no longer names this rollout: everything goes back to stable"
    lost = ended(state, state.require_record(), RolloutReason.AgentLockLost, message)
    return Plan(
        steps=(WriteRecord(record=lost, purpose=f"release: {RolloutReason.AgentLockLost.value}"),),
        requeue_after=0,
    )


def serves(stable: Target, candidate: Target) -> bool:
    """Whether the candidate already is stable."""
    if candidate.version == stable.version:
        return True
    return (candidate.model, candidate.revision) == (stable.model, stable.revision)


def covered(state: State, found: Resolved) -> RolloutPlan:
    """The endpoint's price is known and covered, and the evaluation can be made; then finalizer and claim."""
    record, agent = state.require_record(), state.require_agent_model()
    serving, target = agent.spec.serving, found.target
    known = next((e for e in record.endpoints if e.name == target.endpoint_name), None)
    own = bool(target.endpoint_name) and (known is None or known.role == EndpointRole.STOPPING.value)
    per_hour = 0
    if own:
        if state.price is UNSEEN:
            return Plan(needs=RolloutFact.PRICE)
        if state.price is None or isinstance(state.price, Outage):
            words = (
                f"{state.price.message}; it is tried again"
                if isinstance(state.price, Outage)
                else "the service lists none: choose a place and hardware that it offers"
            )
            return wait(
                state,
                RolloutPhase.PENDING,
                RolloutReason.PriceUnknown,
                f"no price for spec.serving {serving.vendor}/{serving.region} {serving.instance_type} "
                f"{serving.instance_size} of AgentModel {agent.metadata.name}: {words}",
                after=LOOK_AGAIN,
            )
        per_hour = state.price
    planned = planned_micro_usd(state, per_hour, serving.max_replica)
    hindrance = not_covered(state, planned) or ensure_evaluation_checked(state, target)
    if hindrance is not None:
        return hindrance
    meta = state.rollout.metadata
    if FINALIZER not in meta.finalizers:
        return Plan(steps=(WriteFinalizers(finalizers=(*meta.finalizers, FINALIZER)),), requeue_after=0)
    since = state.now.isoformat(timespec="seconds")
    changes: dict[str, object] = {
        "active": Active(uid=state.uid, name=meta.name, digest=state.identity, candidate=target),
    }
    if own:
        entry = EndpointEntry(
            name=target.endpoint_name,
            role=EndpointRole.CANARY.value,
            repo=target.model,
            revision=target.revision,
            version=target.version,
            usd_micro_per_hour=per_hour * serving.max_replica,
            instance=serving.wire(),
            since=since,
        )
        if known is not None:
            record = record.with_spent(known, until=state.now)
        others = tuple(e for e in record.endpoints if e.name != entry.name)
        changes["endpoints"] = (*others, entry)
        changes["reservations"] = {
            **record.reservations,
            f"{state.uid}/1": Reservation(
                usd_micro=planned, month=f"{state.now:%Y-%m}", name=meta.name, reserved_at=since
            ),
        }
    if found.unversioned:
        changes["allocated"] = {**record.allocated, target.version: {}}
    return Plan(
        steps=(WriteRecord(record=record.with_(**changes), purpose=f"claim {record.agent} for {meta.name}"),),
        requeue_after=0,
    )


def not_covered(state: State, planned: int) -> RolloutPlan | None:
    agent, record = state.require_agent_model(), state.require_record()
    budget, most, name = agent.spec.budget, state.rollout.spec.max_usd, state.rollout.metadata.name
    if planned > micro(most):
        message = (
            f"evaluating and trying the candidate may cost up to {shown(planned)} and spec.maxUSD of Rollout {name} "
            f"is ${most}: raise it in a new rollout, or shorten the pauses"
        )
        return latch_abort(state, RolloutReason.OverMaxUSD, message)
    if planned > micro(budget.approval_above_usd):
        message = (
            f"evaluating and trying the candidate may cost up to {shown(planned)}, above "
            f"spec.budget.approvalAboveUSD ${budget.approval_above_usd} of AgentModel {agent.metadata.name}: raise "
            "that, or shorten the pauses; then create a new rollout"
        )
        return latch_abort(state, RolloutReason.NeedsApproval, message)
    left = micro(budget.monthly_usd) - record.committed(f"{state.now:%Y-%m}", state.now)
    if planned > left:
        message = (
            f"up to {shown(planned)} is needed and ${dollars(max(0, left))} of spec.budget.monthlyUSD "
            f"${budget.monthly_usd} of AgentModel {agent.metadata.name} is left this month (UTC): raise the budget, "
            "shorten the pauses, or wait for the next month; then create a new rollout"
        )
        return latch_abort(state, RolloutReason.OverBudget, message)
    return None


def show_agent_lock(state: State) -> RolloutPlan | None:
    """The first status after the claim: what the candidate is, and what it may cost."""
    if state.rollout.status.started_at is not None:
        return None
    record, target = state.require_record(), state.require_active().candidate
    reservation = record.reservations.get(f"{state.uid}/1")
    entry = next((e for e in record.endpoints if e.name == target.endpoint_name), None)
    message = f"{target.version} ({target.model}) is the candidate; " + (
        f"its endpoint {target.endpoint_name} is starting"
        if entry
        else f"it is served at {target.endpoint_url}"
    )
    status = with_phase(
        state,
        RolloutPhase.PROVISIONING,
        RolloutReason.Provisioning,
        message,
        facts={"EndpointReady": False},
        candidate=CandidateStatus(
            version=target.version,
            model=target.model,
            revision=target.revision,
            endpoint=target.endpoint,
            endpoint_name=target.endpoint_name,
            endpoint_url=target.endpoint_url if not target.endpoint_name else "",
        ),
        estimate_usd=dollars(reservation.usd_micro) if reservation else "0.00",
        standing_usd_per_month=dollars(entry.usd_micro_per_hour * 730) if entry else None,
        started_at=state.now.replace(microsecond=0),
    )
    return Plan(steps=status_steps(state, status, RolloutReason.Provisioning, message), requeue_after=0)
