"""The evaluation's two programs: `check` before the claim, when nothing bills yet, and `evaluation` on the endpoint.

Both are given the same input. What is wrong with a dataset or a key ends the rollout before it has cost anything.
"""

from __future__ import annotations

from typing import Any

from modelops.api.v1alpha1.rollout import Goal, RolloutPhase
from modelops.domain.established import require_established
from modelops.domain.facts import UNSEEN, Outage, Unseen
from modelops.domain.plan import Plan
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import Target
from modelops.domain.refusals import Given, told
from modelops.domain.rollout.abort import latch_abort
from modelops.domain.rollout.actions import (
    EvaluationProgram,
    RetryProgram,
    RolloutFact,
    RolloutPlan,
    StartProgram,
    StopProgram,
)
from modelops.domain.rollout.booking import evaluation_dataset
from modelops.domain.rollout.state import State
from modelops.domain.rollout.status import wait
from modelops.ports import ProgramState

RETRY_SECONDS = 15.0
LOOK_SECONDS = 0.25


def is_proven(state: State) -> bool:
    """A version that was stable before needs no new proof, only an endpoint that answers."""
    version = state.rollout.spec.candidate.version
    served = version is not None and state.record is not None and version in state.record.served
    return served and state.rollout.spec.strategy.evaluate_only is None


def evaluation_check_is_running(state: State) -> RolloutPlan | None:
    """Looked at before the services are asked: while the program runs, nobody else needs to be."""
    begun = state.holds_agent_lock or state.rollout.status.started_at is not None
    if begun or state.secret_problem or is_proven(state):
        return None
    if state.check is UNSEEN:
        return Plan(needs=RolloutFact.CHECK)
    program = known(state.check)
    return Plan(requeue_after=LOOK_SECONDS) if program is not None and program.running else None


def ensure_evaluation_checked(state: State, candidate: Target) -> RolloutPlan | None:
    """Whether it could be made: the examples are there and were not trained on, and the keys are taken."""
    if is_proven(state):
        return None
    program = known(state.check)
    if program is None or program.result is None:
        return started(state, EvaluationProgram.CHECK, candidate)
    if not program.result.get("ok"):
        return not_made(state, EvaluationProgram.CHECK, program.result, phase=RolloutPhase.PENDING)
    return None


def outdated(state: State) -> tuple[StopProgram, ...]:
    """The check's result is stale by the time the agent is free: the check runs again then."""
    return () if known(state.check) is None else (StopProgram(program=EvaluationProgram.CHECK),)


def known(program: ProgramState | Outage | Unseen | None) -> ProgramState | None:
    """The program as it is; None where it is not there, or that cannot be told."""
    return program if isinstance(program, ProgramState) else None


def started(state: State, program: EvaluationProgram, candidate: Target) -> RolloutPlan:
    start = StartProgram(program=program, input=evaluation_input(state, candidate))
    return Plan(steps=(start,), requeue_after=LOOK_SECONDS)


def not_made(
    state: State, program: EvaluationProgram, result: dict[str, Any], *, phase: RolloutPhase
) -> RolloutPlan:
    """A service was away: again later. What was given is not fit: the rollout ends."""
    if not result.get("transient"):
        return latch_abort(state, RolloutReason.EvaluationRefused, told(result, given(state)))
    message = str(result.get("message", ""))
    plan = wait(state, phase, RolloutReason.LangSmithUnavailable, message, after=RETRY_SECONDS)
    retry = RetryProgram(program=program, after=RETRY_SECONDS)
    return Plan(steps=(*plan.steps, retry), requeue_after=RETRY_SECONDS)


def given(state: State) -> Given:
    """Where a person finds what the programs were given."""
    meta, agent = state.rollout.metadata, state.rollout.spec.agent_model_ref.name
    dataset = evaluation_dataset(state)
    own = state.rollout.spec.evaluation.dataset
    return Given(
        agent_model=agent,
        dataset=f"spec.evaluation.dataset {dataset} of Rollout {meta.name}"
        if own
        else f"spec.langsmith.evaluationDataset {dataset} of AgentModel {agent}",
        again="a new rollout",
    )


def evaluation_input(state: State, candidate: Target) -> dict[str, Any]:
    """`input.json` of both programs. Keys of models come by environment."""
    record, agent, rollout = state.require_record(), state.require_agent_model(), state.rollout
    prompt = require_established(agent.spec.prompt, "the AgentModel's prompt contract")
    name = agent.metadata.name
    entry = next((e for e in record.endpoints if e.name == candidate.endpoint_name), None)
    stable = next((e for e in record.endpoints if e.name == record.stable.endpoint_name), None)
    trained = record.entry(candidate.version)
    lineage = trained.lineage.get("dataset", {}) if trained else {}
    spec = rollout.spec.evaluation

    def side(target: Target, env: str, per_hour: int | None) -> dict[str, Any]:
        reference = "openRouter" if target.endpoint == "openrouter" else "huggingFace"
        return {
            "model": target.served_model or target.model,
            "base_url": target.endpoint_url,
            "api_key_env": env,
            "version": target.version,
            "service": target.endpoint,
            "key_name": f"AgentModel {name} spec.secretRefs.{reference}",
            "usd_per_hour": str(per_hour / 1_000_000) if per_hour is not None else None,
        }

    return {
        "v": 1,
        "rollout": state.uid,
        "agent": record.agent,
        "dataset": evaluation_dataset(state),
        "as_of": None,
        "arms": {
            "baseline": side(
                record.stable, "MODELOPS_BASELINE_KEY", stable.usd_micro_per_hour if stable else None
            ),
            "candidate": side(
                candidate, "MODELOPS_CANDIDATE_KEY", entry.usd_micro_per_hour if entry else None
            ),
        },
        "prompt": prompt.wire(),
        "scorer": {"type": spec.scorer.type.value, "threshold": spec.scorer.threshold},
        "margin_points": spec.margin_points,
        "goal": "superior" if spec.goal is Goal.SUPERIOR else "nonInferior",
        "alpha": "0.05",
        "repetitions": 1,
        "concurrency": spec.concurrency,
        "max_examples": spec.max_examples,
        "training_dataset": {"repo": lineage.get("repo", ""), "revision": lineage.get("revision", "")},
    }
