"""From the claim to a verdict: the endpoint answers, both models answer the held-out examples, the gate decides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from modelops.api.v1alpha1.agentmodel import EndpointRole
from modelops.api.v1alpha1.rollout import ArmResult, EvaluationStatus, RolloutPhase
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.plan import Announce, Plan, WriteRecord
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import Completed
from modelops.domain.rollout.abort import latch_abort
from modelops.domain.rollout.actions import EvaluationProgram, RolloutFact, RolloutPlan
from modelops.domain.rollout.booking import (
    evaluation_dataset,
    release_endpoints,
    settled,
    with_candidate_counted,
    with_scores,
)
from modelops.domain.rollout.canary import ensure_canary_armed
from modelops.domain.rollout.evaluation import LOOK_SECONDS, is_proven, known, not_made, started
from modelops.domain.rollout.state import State
from modelops.domain.rollout.status import status_steps, with_phase
from modelops.domain.rollout.targets import candidate_target


def await_endpoint(state: State) -> RolloutPlan | None:
    """The AgentModel's reconciler starts what the record names; here it is only waited for, and asked to answer."""
    status = state.rollout.status
    assert status.candidate is not None
    if status.candidate.endpoint_url or not status.candidate.endpoint_name:
        return None
    if state.endpoint is UNSEEN:
        return Plan(needs=RolloutFact.ENDPOINT)
    if isinstance(state.endpoint, Outage):
        return Plan(requeue_after=state.endpoint.retry_after or 2.0)
    if state.endpoint is None:
        return Plan(requeue_after=0.5)
    if state.endpoint.state in ("failed", "updateFailed"):
        words = f": {state.endpoint.message}" if state.endpoint.message else ""
        return latch_abort(
            state,
            RolloutReason.EndpointFailed,
            f"endpoint {state.endpoint.name} is {state.endpoint.state}{words}",
        )
    if state.endpoint.state != "running" or not state.endpoint.url:
        return Plan(requeue_after=0.5)
    if state.answers is UNSEEN:
        return Plan(needs=RolloutFact.ANSWERS)
    if not state.answers:
        return Plan(requeue_after=1.0)
    found = status.candidate.model_copy(update={"endpoint_url": state.endpoint.url})
    message = f"endpoint {state.endpoint.name} answers; both models answer the held-out examples"
    changed = with_phase(
        state,
        RolloutPhase.EVALUATING,
        RolloutReason.Evaluating,
        message,
        facts={"EndpointReady": True},
        candidate=found,
    )
    return Plan(steps=status_steps(state, changed, RolloutReason.Evaluating, message), requeue_after=0)


def ensure_evaluated(state: State) -> RolloutPlan | None:
    if state.rollout.status.evaluation is not None or is_proven(state):
        return None
    if state.evaluation is UNSEEN:
        return Plan(needs=RolloutFact.EVALUATION)
    program = known(state.evaluation)
    if program is None or (not program.running and program.result is None):
        candidate = candidate_target(state)
        assert candidate is not None
        return started(state, EvaluationProgram.EVALUATION, candidate)
    if program.result is None:
        return Plan(requeue_after=LOOK_SECONDS)
    result = program.result
    if not result.get("ok"):
        return not_made(state, EvaluationProgram.EVALUATION, result, phase=RolloutPhase.EVALUATING)
    verdict = verdict_of(state, result)
    explain = str(result.get("explain", ""))[:1024]
    return judged(state, verdict, explain)


def judged(state: State, verdict: EvaluationStatus, explain: str) -> RolloutPlan:
    """The verdict goes into the status in the same write that goes on or turns back."""
    if verdict.verdict == "pass":
        status = with_phase(
            state,
            RolloutPhase.EVALUATING,
            RolloutReason.EvaluationPassed,
            explain,
            facts={"Evaluated": True},
            evaluation=verdict,
        )
        if state.rollout.spec.strategy.evaluate_only is not None:
            return Plan(
                steps=status_steps(state, status, RolloutReason.EvaluationPassed, explain), requeue_after=0
            )
        passed = state.rollout.model_copy(update={"status": status})
        plan = ensure_canary_armed(replace(state, rollout=passed))
        assert plan is not None
        announced = Announce(reason=RolloutReason.EvaluationPassed.value, message=explain)
        # The verdict is told first: it is why the canary is armed.
        return replace(plan, steps=(*plan.steps[:1], announced, *plan.steps[1:])) if plan.steps else plan
    reason = (
        RolloutReason.EvaluationFailed if verdict.verdict == "fail" else RolloutReason.EvaluationInconclusive
    )
    status = with_phase(
        state,
        RolloutPhase.EVALUATING,
        reason,
        explain,
        facts={"Evaluated": True},
        evaluation=verdict,
        abort_reason=reason.value,
    )
    return Plan(steps=status_steps(state, status, reason, explain), requeue_after=0)


def verdict_of(state: State, result: dict[str, Any]) -> EvaluationStatus:
    assert state.record is not None
    version = f"{evaluation_dataset(state)}@{result.get('as_of', '')}"
    return EvaluationStatus(
        examples=int(result["n"]),
        baseline=arm(result["baseline"]),
        candidate=arm(result["candidate"]),
        difference_points=str(result["difference_points"]),
        interval_points=tuple(str(end) for end in result["interval"]),
        margin_points=str(result["margin_points"]),
        dataset_version=version,
        verdict=str(result["verdict"]),
        recommendation=str(result["recommendation"]),
        experiment_url=str(result.get("experiment_url") or "")[:1024],
        recorded=bool(result.get("recorded", True)),
        candidates_compared=state.record.candidates_compared.get(version, 0) + 1,
        findings=tuple(str(finding)[:512] for finding in result.get("findings", ()))[:32],
    )


def arm(side: dict[str, Any]) -> ArmResult:
    return ArmResult(
        success=str(side["success"]),
        latency_p50_milliseconds=round(float(side.get("latency_p50_ms") or 0)),
        latency_p95_milliseconds=round(float(side.get("latency_p95_ms") or 0)),
        usd_per_1000_tokens=str(side.get("cost_per_1k") or "0"),
        errors=int(side.get("errors") or 0),
    )


def conclude_evaluate_only(state: State) -> RolloutPlan | None:
    """evaluateOnly: the verdict is the result; nothing moves and the endpoint goes."""
    if state.rollout.spec.strategy.evaluate_only is None:
        return None
    record, candidate = state.record, state.rollout.status.candidate
    assert record is not None
    assert candidate is not None
    done = Completed(
        kind="Rollout",
        name=state.rollout.metadata.name,
        uid=state.uid,
        outcome=RolloutReason.EvaluatedOnly.value,
        version=candidate.version,
        message=f"{candidate.version} was judged; nothing was moved, as spec.strategy.evaluateOnly asks",
        finished_at=state.now.isoformat(timespec="seconds"),
    )
    changed = settled(state, release_endpoints(state, record, EndpointRole.STOPPING))
    changed = with_scores(state, changed, candidate.version)
    if candidate.version not in record.served:
        changed = changed.with_entry(candidate.version, deployment_status="evaluated")
    changed = changed.with_(
        completed={**record.completed, state.identity: done},
        candidates_compared=with_candidate_counted(state, changed),
        active=None,
    )
    return Plan(steps=(WriteRecord(record=changed, purpose="release: evaluated only"),), requeue_after=0)
