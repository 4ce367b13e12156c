"""The evaluation on the candidate's endpoint, and what follows from its verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from modelops.api.v1alpha1.agent_evaluation import EvaluationTarget, ProductionResult
from modelops.api.v1alpha1.judge import JudgeResult
from modelops.api.v1alpha1.langsmith_feedback import FeedbackResult
from modelops.api.v1alpha1.rollout import ArmResult, EvaluationStatus, RolloutPhase
from modelops.api.v1alpha1.similarity import SimilarityResult
from modelops.api.v1alpha1.top_up import LookResult
from modelops.domain.conditions import condition_of
from modelops.domain.facts import UNSEEN
from modelops.domain.gates.two_looks import SECOND_LOOK
from modelops.domain.money import dollars, micro
from modelops.domain.plan import Announce, Plan
from modelops.domain.reasons import RolloutReason
from modelops.domain.rollout.actions import EvaluationProgram, RolloutFact, RolloutPlan
from modelops.domain.rollout.canary import arm_canary
from modelops.domain.rollout.endpoint_cost import standing_cost_warning
from modelops.domain.rollout.evaluation import (
    POLL_SECONDS,
    is_proven,
    program_state,
    report_failed_program,
    start_program,
)
from modelops.domain.rollout.evaluation_scores import (
    dataset_version,
    evaluation_basis,
    evaluation_choices,
    evaluation_dataset,
    evaluation_scorer,
)
from modelops.domain.rollout.looks import look_findings, looks_with_next
from modelops.domain.rollout.review import asks_a_person
from modelops.domain.rollout.state import State
from modelops.domain.rollout.status import status_steps, wait_in_phase, with_phase
from modelops.domain.rollout.targets import require_candidate_target
from modelops.ports import ProgramState


def ensure_evaluated(state: State) -> RolloutPlan | None:
    """Runs the evaluation, waits for its result, and applies the verdict."""
    if state.rollout.status.evaluated is not None or is_proven(state):
        return None
    if state.evaluation is UNSEEN:
        return Plan(needs=RolloutFact.EVALUATION)
    program = program_state(state.evaluation)
    if program is None or (not program.running and program.result is None):
        return start_program(state, EvaluationProgram.EVALUATION, require_candidate_target(state))
    if program.result is None:
        return await_evaluation(state, program)
    result = program.result
    if not result.get("ok"):
        return report_failed_program(
            state, EvaluationProgram.EVALUATION, result, phase=RolloutPhase.EVALUATING
        )
    verdict = parse_verdict(state, result)
    explanation = str(result.get("explain", ""))[:1024]
    return apply_verdict(state, verdict, explanation)


def await_evaluation(state: State, program: ProgramState) -> RolloutPlan:
    """Waits for the running program. A status that says that it cannot run is written anew, and so is one that does
    not say yet that the second of two looks has begun."""
    dataset, is_said = evaluation_dataset(state), True
    message = f"asking both models about {dataset}"
    if program.progress.get("stage") == SECOND_LOOK:
        message = f"the first look decided nothing: asking both models about further examples of {dataset}"
        ready = condition_of(state.rollout.status.conditions, "Ready")
        is_said = ready is not None and ready.message == message
    if is_said and state.rollout.status.reason != RolloutReason.ProgramNotRunning.value:
        return Plan(requeue_after=POLL_SECONDS)
    return wait_in_phase(
        state, RolloutPhase.EVALUATING, RolloutReason.Evaluating, message, after=POLL_SECONDS
    )


def apply_verdict(state: State, verdict: EvaluationStatus, explanation: str) -> RolloutPlan:
    """Writes the verdict in the same status write that arms the canary or rejects the candidate."""
    if verdict.verdict == "pass":
        status = with_phase(
            state,
            RolloutPhase.EVALUATING,
            RolloutReason.EvaluationPassed,
            explanation,
            facts={"Evaluated": True},
            evaluation=verdict,
        )
        if state.rollout.spec.strategy.evaluate_only is not None:
            return Plan(
                steps=status_steps(state, status, RolloutReason.EvaluationPassed, explanation),
                requeue_after=0,
            )
        passed = state.rollout.model_copy(update={"status": status})
        plan = arm_canary(replace(state, rollout=passed))
        announced = Announce(reason=RolloutReason.EvaluationPassed.value, message=explanation)
        # The Event of the verdict comes first, because the verdict is the reason to arm the canary.
        return replace(plan, steps=(*plan.steps[:1], announced, *plan.steps[1:])) if plan.steps else plan
    if verdict.verdict == "inconclusive" and asks_a_person(state):
        return await_review(state, verdict, explanation)
    reason = (
        RolloutReason.EvaluationFailed if verdict.verdict == "fail" else RolloutReason.EvaluationInconclusive
    )
    status = with_phase(
        state,
        RolloutPhase.EVALUATING,
        reason,
        explanation,
        facts={"Evaluated": True},
        evaluation=verdict,
        abort_reason=reason.value,
    )
    return Plan(steps=status_steps(state, status, reason, explanation), requeue_after=0)


def await_review(state: State, verdict: EvaluationStatus, explanation: str) -> RolloutPlan:
    """A person decides. The status comes first; then the lock and the endpoint are released (`review`)."""
    candidate, reason = state.require_candidate(), RolloutReason.EvaluationInconclusive
    address = "" if candidate.endpoint_name else candidate.endpoint_url
    status = with_phase(
        state,
        RolloutPhase.AWAITING_APPROVAL,
        reason,
        explanation,
        facts={"Evaluated": True, "EndpointReady": False},
        evaluation=verdict,
        candidate=candidate.model_copy(update={"endpoint_url": address}),
        started_at=None,
    )
    return Plan(steps=status_steps(state, status, reason, explanation), requeue_after=0)


def parse_verdict(state: State, result: dict[str, Any]) -> EvaluationStatus:
    """The evaluation's `result.json` as the status has it."""
    record, version = state.require_record(), dataset_version(state, result.get("as_of"))
    scorer = evaluation_scorer(state)
    warning = standing_cost_warning(state, state.rollout.status.standing_usd_per_month)
    looks = look_findings(
        record, version, evaluation_choices(state, margin_points=str(result["margin_points"]))
    )
    findings = (*((warning,) if warning else ()), *looks, *result.get("findings", ()))
    planned = state.rollout.status.evaluation
    return EvaluationStatus(
        plan=planned.plan if planned is not None else None,
        baseline_use=planned.baseline_use if planned is not None else None,
        target=str(result.get("target") or EvaluationTarget.MODEL.value),
        examples=int(result["n"]),
        baseline=parse_arm(result["baseline"]),
        candidate=parse_arm(result["candidate"]),
        difference_points=str(result["difference_points"]),
        interval_points=tuple(str(end) for end in result["interval"]),
        disagreement_points=str(result.get("disagreement_points") or ""),
        p95_ceiling=str(result.get("p95_ceiling") or ""),
        margin_points=str(result["margin_points"]),
        scorer=str(result.get("scorer") or (scorer.type.value if scorer else "")),
        threshold=str(result.get("threshold") or (scorer.threshold if scorer else "")),
        dataset_version=version,
        verdict=str(result["verdict"]),
        recommendation=str(result["recommendation"]),
        experiment_url=str(result.get("experiment_url") or "")[:1024],
        report_url=str(result.get("report_url") or "")[:1024],
        calls_usd=billed(result.get("calls_usd")),
        recorded=bool(result.get("recorded", True)),
        basis=evaluation_basis(state),
        candidates_compared=looks_with_next(record, version),
        looks=tuple(LookResult.model_validate(one) for one in result.get("looks") or ()),
        judge=JudgeResult.model_validate(result["judge"]) if result.get("judge") else None,
        production=ProductionResult.model_validate(result["production"])
        if result.get("production")
        else None,
        similarity=SimilarityResult.model_validate(result["similarity"])
        if result.get("similarity")
        else None,
        langsmith_feedback=tuple(map(FeedbackResult.model_validate, result.get("feedback") or ())),
        findings=tuple(str(finding)[:512] for finding in findings)[:32],
    )


def billed(amount: Any) -> str | None:
    """The cost of calls as the status has it; None where it is not known."""
    return dollars(micro(str(amount))) if amount is not None else None


def parse_arm(side: dict[str, Any]) -> ArmResult:
    """One model's part of the result."""
    return ArmResult(
        success=str(side["success"]),
        latency_p50_milliseconds=round(float(side.get("latency_p50_ms") or 0)),
        latency_p95_milliseconds=round(float(side.get("latency_p95_ms") or 0)),
        usd_per_1000_tokens=str(side.get("cost_per_1k") or "0"),
        errors=int(side.get("errors") or 0),
    )
