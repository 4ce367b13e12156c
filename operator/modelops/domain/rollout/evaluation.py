"""The evaluation's two programs: `check` before the agent is locked, and `evaluation` on the candidate's endpoint.

Both get the same input. So a dataset or a key that cannot be used ends the rollout before anything bills.
"""

from __future__ import annotations

from typing import Any

from modelops.api.v1alpha1.judge import Judge
from modelops.api.v1alpha1.rollout import Goal, RolloutPhase
from modelops.api.v1alpha1.scorer import ScorerType
from modelops.domain.established import require_established
from modelops.domain.facts import UNSEEN, Outage, Unseen
from modelops.domain.plan import Plan
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import Target
from modelops.domain.refusals import NEXT_TOKEN, RefusalContext, refusal_message
from modelops.domain.rollout.abort import latch_abort
from modelops.domain.rollout.actions import (
    EvaluationProgram,
    RetryProgram,
    RolloutFact,
    RolloutPlan,
    StartProgram,
    StopProgram,
)
from modelops.domain.rollout.deadline import latest_end
from modelops.domain.rollout.evaluation_scores import (
    asked_agent,
    asks_agent,
    assumptions,
    evaluation_dataset,
    evaluation_scorer,
)
from modelops.domain.rollout.evaluation_wait import billing_words, gives_up_waiting_for_token, latest_token
from modelops.domain.rollout.learnt_data import learnt_data
from modelops.domain.rollout.state import State
from modelops.domain.rollout.status import wait_in_phase
from modelops.ports import ProgramState

RETRY_SECONDS = 15.0
POLL_SECONDS = 0.25
ANSWER_SECONDS = 120
"""Seconds of one call of a model, where the spec names none."""
OUTAGES = {
    "HubUnavailable": RolloutReason.HubUnavailable,
    "BaselineUnavailable": RolloutReason.BaselineUnavailable,
    "AgentUnavailable": RolloutReason.AgentUnavailable,
    "OperatorDiskFull": RolloutReason.OperatorDiskFull,
    "ProgramNotRunning": RolloutReason.ProgramNotRunning,
}
"""Reasons of the programs that pass and do not mean LangSmith."""


def is_proven(state: State) -> bool:
    """Whether the candidate was stable before: then it needs no new evaluation, only an endpoint that answers."""
    version = state.rollout.spec.candidate.version
    served = version is not None and state.record is not None and version in state.record.served
    return served and state.rollout.spec.strategy.evaluate_only is None


def is_undo(state: State) -> bool:
    """Whether the rollout goes back to a version that served before, at once (protocol, Undo 1).

    Of arming, confirmations and reachability nothing applies: an undo asks nobody.
    """
    return is_proven(state) and state.rollout.spec.strategy.immediate is not None


def undo_target(state: State) -> Target:
    """What an undo goes back to, as it served before (`is_undo`)."""
    return state.require_record().served[state.rollout.spec.candidate.version or ""]


def evaluation_check_is_running(state: State) -> RolloutPlan | None:
    """Comes before the steps that ask services: while the check runs, no service needs to be asked."""
    status = state.rollout.status
    begun = state.holds_agent_lock or status.started_at is not None or status.evaluated is not None
    if begun or state.secret_problem or is_proven(state):
        return None
    if state.check is UNSEEN:
        return Plan(needs=RolloutFact.CHECK)
    program = program_state(state.check)
    return Plan(requeue_after=POLL_SECONDS) if program is not None and program.running else None


def ensure_evaluation_checked(state: State, candidate: Target) -> RolloutPlan | None:
    """Runs the check: the examples exist and were not trained on, and the services accept the keys."""
    if is_proven(state) or state.rollout.status.evaluated is not None:
        return None
    program = program_state(state.check)
    if program is None or program.result is None:
        return start_program(state, EvaluationProgram.CHECK, candidate)
    if not program.result.get("ok"):
        return report_failed_program(
            state, EvaluationProgram.CHECK, program.result, phase=RolloutPhase.PENDING
        )
    return None


def discard_evaluation_check(state: State) -> tuple[StopProgram, ...]:
    """The steps that discard the check: its result is too old by the time another rollout releases the agent."""
    return () if program_state(state.check) is None else (StopProgram(program=EvaluationProgram.CHECK),)


def program_state(program: ProgramState | Outage | Unseen | None) -> ProgramState | None:
    """The program's state; None where it does not exist or its state is not known."""
    return program if isinstance(program, ProgramState) else None


def start_program(state: State, program: EvaluationProgram, candidate: Target) -> RolloutPlan:
    """Starts the program with the evaluation's input."""
    start = StartProgram(program=program, input=evaluation_input(state, candidate))
    return Plan(steps=(start,), requeue_after=POLL_SECONDS)


def report_failed_program(
    state: State, program: EvaluationProgram, result: dict[str, Any], *, phase: RolloutPhase
) -> RolloutPlan:
    """Retries later if a service did not answer; ends the rollout if its dataset, prompt or keys cannot be used."""
    token_refused = bool(result.get("token_refused"))
    if token_refused and not gives_up_waiting_for_token(state):
        reason = RolloutReason.TokenRefused
        message = refusal_message(result, refusal_context(state), remedy=NEXT_TOKEN)
        message += billing_words(state, latest_token(state))
    elif result.get("transient") and not token_refused:
        reason = OUTAGES.get(str(result.get("reason", "")), RolloutReason.LangSmithUnavailable)
        message, words = str(result.get("message", "")), billing_words(state, latest_end(state))
        message = message.rstrip(".") + words if words else message
    else:
        return check_replaced_keys(state, program) or latch_abort(
            state, RolloutReason.EvaluationRefused, refusal_message(result, refusal_context(state))
        )
    plan = wait_in_phase(state, phase, reason, message, after=RETRY_SECONDS)
    retry = RetryProgram(program=program, after=RETRY_SECONDS)
    return Plan(steps=(*plan.steps, retry), requeue_after=RETRY_SECONDS)


def check_replaced_keys(state: State, program: EvaluationProgram) -> RolloutPlan | None:
    """A refusal is about the keys that the program was started with: if a person has replaced one since, it runs again.

    Not for ever: after each run the keys must have been replaced once more.
    """
    if state.keys_replaced is UNSEEN:
        return Plan(needs=RolloutFact.KEYS_REPLACED)
    if isinstance(state.keys_replaced, Outage):
        return Plan(requeue_after=RETRY_SECONDS)
    return Plan(steps=(StopProgram(program=program),), requeue_after=0) if state.keys_replaced else None


def refusal_context(state: State) -> RefusalContext:
    """The fields that a refusal's message names."""
    meta, agent = state.rollout.metadata, state.rollout.spec.agent_model_ref.name
    dataset = evaluation_dataset(state)
    return RefusalContext(
        agent_model=agent,
        dataset=f"spec.evaluation.dataset {dataset} of Rollout {meta.name}"
        if state.rollout.spec.evaluation.dataset
        else f"spec.langsmith.evaluationDataset {dataset} of AgentModel {agent}",
        scorer=f"spec.langsmith.scorer of AgentModel {agent}"
        if evaluation_scorer(state) and not state.rollout.spec.evaluation.scorer
        else f"spec.evaluation.scorer of Rollout {meta.name}",
        new_object="a new rollout",
    )


def evaluation_input(state: State, candidate: Target) -> dict[str, Any]:
    """`input.json` of both programs. The models' keys are not in it: they are environment variables."""
    record, agent, rollout = state.require_record(), state.require_agent_model(), state.rollout
    prompt = require_established(agent.spec.prompt, "the AgentModel's prompt contract")
    name = agent.metadata.name
    entry = next((e for e in record.endpoints if e.name == candidate.endpoint_name), None)
    stable = next((e for e in record.endpoints if e.name == record.stable.endpoint_name), None)
    spec, scorer = rollout.spec.evaluation, evaluation_scorer(state)
    asked = spec.langsmith_feedback

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
            **({"agent_key_env": target.api_key_env} if asks_agent(state) else {}),
        }

    return {
        "v": 1,
        "rollout": state.uid,
        "agent": record.agent,
        "dataset": evaluation_dataset(state),
        "as_of": None,
        "project": agent.spec.langsmith.project if agent.spec.langsmith else None,
        "arms": {
            "baseline": side(
                record.stable, "MODELOPS_BASELINE_KEY", stable.usd_micro_per_hour if stable else None
            ),
            "candidate": side(
                candidate, "MODELOPS_CANDIDATE_KEY", entry.usd_micro_per_hour if entry else None
            ),
        },
        "prompt": prompt.wire(),
        "scorer": scorer.wire() if scorer else None,
        "judge": judge_rule(spec.judge, name),
        **deciding_judge(state, name),
        "similarity": similarity_rule(state, name),
        "feedback": {"keys": list(asked.keys), "wait_seconds": asked.wait_seconds} if asked else None,
        "margin_points": spec.margin_points,
        "min_baseline_points": spec.min_baseline_points,
        "goal": "superior" if spec.goal is Goal.SUPERIOR else "nonInferior",
        "alpha": "0.05",
        "repetitions": 1,
        "concurrency": spec.concurrency,
        "max_examples": spec.max_examples,
        "top_up_examples": spec.top_up.max_examples if spec.top_up else None,
        "timeout_seconds": spec.timeout_seconds or ANSWER_SECONDS,
        "max_p95_ms": spec.max_p95_milliseconds,
        **assumptions(state),
        **learnt_data(record, candidate),
        **agent_rule(state),
        **production_rule(state),
    }


def agent_rule(state: State) -> dict[str, Any]:
    """The fields of `input.json` that make the agent answer; empty where the model answers.

    An input stays as an earlier release has written it where nobody asks for an agent: a change would begin a running
    evaluation anew.
    """
    if not asks_agent(state):
        return {}
    asked, name = asked_agent(state), state.require_agent_model().metadata.name
    return {
        "target": "agent",
        "asked_agent": None
        if asked is None
        else {
            "url": asked.url or "",
            "entry_point": asked.entry_point or "",
            "key_name": f"AgentModel {name} spec.secretRefs.agent",
            "max_calls": asked.max_calls_per_answer,
            "max_prompt_tokens": asked.max_prompt_tokens,
        },
    }


def production_rule(state: State) -> dict[str, Any]:
    """The field of `input.json` that asks for a sample of production; empty without one."""
    sample = state.rollout.spec.evaluation.production_sample
    if sample is None:
        return {}
    langsmith = state.require_agent_model().spec.langsmith
    project = (langsmith.project if langsmith else None) or ""
    created = state.rollout.metadata.creation_timestamp
    # The check and the evaluation take the same runs, so what is asked is what was planned.
    until = created.isoformat() if created is not None else None
    return {"production": {"project": project, "runs": sample.runs, "days": sample.days, "until": until}}


def judge_rule(judge: Judge | None, agent: str) -> dict[str, Any] | None:
    """The judge as `input.json` has it; None without one. `agent` is the name of the AgentModel."""
    if judge is None:
        return None
    return {
        "model": judge.model,
        "max_examples": judge.max_examples,
        "key_name": f"AgentModel {agent} spec.secretRefs.openRouter",
    }


def deciding_judge(state: State, agent: str) -> dict[str, Any]:
    """Scorer judge as fields of `input.json`: its calibration, and the judge where the Rollout names none.

    Only the AgentModel has a calibration: who may create a Rollout could otherwise write one that passes it.
    """
    scorer, spec = evaluation_scorer(state), state.rollout.spec.evaluation
    if scorer is None or scorer.type is not ScorerType.JUDGE:
        return {}
    settings = state.require_agent_model().spec.langsmith
    found = settings.judge if settings is not None else None
    if found is None:
        return {}
    judge = spec.judge or Judge(model=found.model)
    return {
        "judge": judge_rule(judge, agent),
        "calibration": {
            "model": found.model,
            "labels": found.labels,
            "labels_as_of": found.labels_as_of.isoformat(),
            "said": found.said,
            "prompt_digest": found.prompt_digest,
            "digest": found.digest,
            "field": f"spec.langsmith.judge of AgentModel {agent}",
        },
    }


def similarity_rule(state: State, agent: str) -> dict[str, Any] | None:
    """The embedding model as `input.json` has it; None where the Rollout asks for no similarity.

    Only the AgentModel says where it is: who may create a Rollout could otherwise send the agent's key anywhere.
    """
    asked, found = state.rollout.spec.evaluation.similarity, state.require_agent_model().spec.embeddings
    if asked is None:
        return None
    if found is None:
        return {"model": "", "max_examples": asked.max_examples}
    reference = "openRouter" if found.endpoint == "openrouter" else "huggingFace"
    return {
        "model": found.model,
        "base_url": found.endpoint_url or "",
        "service": found.endpoint,
        "max_examples": asked.max_examples,
        "key_name": f"AgentModel {agent} spec.secretRefs.{reference}",
    }
