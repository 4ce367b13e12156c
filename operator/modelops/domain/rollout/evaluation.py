"""The evaluation's two programs: `check` before the claim, when nothing bills yet, and `evaluation` on the endpoint.

Both are given the same input. What is wrong with a dataset or a key ends the rollout before it has cost anything.
"""

from __future__ import annotations

from typing import Any, Literal

from modelops.api.v1alpha1.rollout import Goal, RolloutPhase
from modelops.domain.facts import UNSEEN, Outage, Unseen
from modelops.domain.plan import Do, Plan
from modelops.domain.reasons import RolloutReason as Why
from modelops.domain.record import Target
from modelops.domain.refusals import Given, told
from modelops.domain.rollout.abort import latch
from modelops.domain.rollout.booking import evaluation_dataset
from modelops.domain.rollout.state import Observed
from modelops.domain.rollout.status import wait
from modelops.ports import ProgramState

Program = Literal["check", "evaluation"]

RETRY_SECONDS = 15.0
LOOK_SECONDS = 0.25


def is_proven(seen: Observed) -> bool:
    """A version that was stable before needs no new proof, only an endpoint that answers."""
    version = seen.rollout.spec.candidate.version
    served = version is not None and seen.record is not None and version in seen.record.served
    return served and seen.rollout.spec.strategy.evaluate_only is None


def evaluation_check_is_running(seen: Observed) -> Plan | None:
    """Looked at before the services are asked: while the program runs, nobody else needs to be."""
    begun = seen.holds_agent_lock or seen.rollout.status.started_at is not None
    if begun or seen.secret_problem or is_proven(seen):
        return None
    if seen.check is UNSEEN:
        return Plan(needs="check")
    state = known(seen.check)
    return Plan(requeue_after=LOOK_SECONDS) if state is not None and state.running else None


def ensure_evaluation_checked(seen: Observed, candidate: Target) -> Plan | None:
    """Whether it could be made: the examples are there and were not trained on, and the keys are taken."""
    if is_proven(seen):
        return None
    state = known(seen.check)
    if state is None or state.result is None:
        return started(seen, "check", candidate)
    if not state.result.get("ok"):
        return not_made(seen, "check", state.result, phase=RolloutPhase.PENDING)
    return None


def outdated(seen: Observed) -> tuple[Do, ...]:
    """What was found is old when the turn comes: it is looked at again then."""
    return () if known(seen.check) is None else (Do(action="stop_check"),)


def known(program: ProgramState | Outage | Unseen | None) -> ProgramState | None:
    """The program as it is; None where it is not there, or that cannot be told."""
    return program if isinstance(program, ProgramState) else None


def started(seen: Observed, program: Program, candidate: Target) -> Plan:
    start = Do(action=f"start_{program}", arguments={"given": evaluation_input(seen, candidate)})
    return Plan(steps=(start,), requeue_after=LOOK_SECONDS)


def not_made(seen: Observed, program: Program, result: dict[str, Any], *, phase: RolloutPhase) -> Plan:
    """A service was away: again later. What was given is not fit: the rollout ends."""
    if not result.get("transient"):
        return latch(seen, Why.EVALUATION_REFUSED, told(result, given(seen)))
    message = str(result.get("message", ""))
    plan = wait(seen, phase, Why.LANGSMITH_UNAVAILABLE, message, after=RETRY_SECONDS)
    retry = Do(action=f"retry_{program}", arguments={"after": RETRY_SECONDS})
    return Plan(steps=(*plan.steps, retry), requeue_after=RETRY_SECONDS)


def given(seen: Observed) -> Given:
    """Where a person finds what the programs were given."""
    meta, agent = seen.rollout.metadata, seen.rollout.spec.agent_model_ref.name
    dataset = evaluation_dataset(seen)
    own = seen.rollout.spec.evaluation.dataset
    return Given(
        agent_model=agent,
        dataset=f"spec.evaluation.dataset {dataset} of Rollout {meta.name}"
        if own
        else f"spec.langsmith.evaluationDataset {dataset} of AgentModel {agent}",
        again="a new rollout",
    )


def evaluation_input(seen: Observed, candidate: Target) -> dict[str, Any]:
    """`input.json` of both programs. Keys of models come by environment."""
    record, agent, rollout = seen.record, seen.agent_model, seen.rollout
    assert record is not None
    assert agent is not None
    assert agent.spec.prompt is not None
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
        "rollout": seen.uid,
        "agent": record.agent,
        "dataset": evaluation_dataset(seen),
        "as_of": None,
        "arms": {
            "baseline": side(
                record.stable, "MODELOPS_BASELINE_KEY", stable.usd_micro_per_hour if stable else None
            ),
            "candidate": side(
                candidate, "MODELOPS_CANDIDATE_KEY", entry.usd_micro_per_hour if entry else None
            ),
        },
        "prompt": agent.spec.prompt.wire(),
        "scorer": {"type": spec.scorer.type.value, "threshold": spec.scorer.threshold},
        "margin_points": spec.margin_points,
        "goal": "superior" if spec.goal is Goal.SUPERIOR else "nonInferior",
        "alpha": "0.05",
        "repetitions": 1,
        "concurrency": spec.concurrency,
        "max_examples": spec.max_examples,
        "training_dataset": {"repo": lineage.get("repo", ""), "revision": lineage.get("revision", "")},
    }
