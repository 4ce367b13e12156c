"""From the claim to a verdict: the endpoint answers, both models answer the held-out examples, the gate decides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from modelops.api.v1alpha1.agentmodel import EndpointRole
from modelops.api.v1alpha1.rollout import ArmResult, EvaluationStatus, RolloutPhase
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.plan import Announce, Plan, WriteRecord
from modelops.domain.reasons import RolloutReason as Why
from modelops.domain.record import Completed
from modelops.domain.rollout.abort import latch
from modelops.domain.rollout.booking import (
    evaluation_dataset,
    looked,
    release_endpoints,
    settled,
    with_scores,
)
from modelops.domain.rollout.canary import ensure_canary_armed
from modelops.domain.rollout.evaluation import LOOK_SECONDS, is_proven, known, not_made, started
from modelops.domain.rollout.state import Observed
from modelops.domain.rollout.status import moved, said
from modelops.domain.rollout.targets import candidate_target


def await_endpoint(seen: Observed) -> Plan | None:
    """The AgentModel's reconciler starts what the record names; here it is only waited for, and asked to answer."""
    status = seen.rollout.status
    assert status.candidate is not None
    if status.candidate.endpoint_url or not status.candidate.endpoint_name:
        return None
    if seen.endpoint is UNSEEN:
        return Plan(needs="endpoint")
    if isinstance(seen.endpoint, Outage):
        return Plan(requeue_after=seen.endpoint.retry_after or 2.0)
    if seen.endpoint is None:
        return Plan(requeue_after=0.5)
    if seen.endpoint.state in ("failed", "updateFailed"):
        words = f": {seen.endpoint.message}" if seen.endpoint.message else ""
        return latch(
            seen, Why.ENDPOINT_FAILED, f"endpoint {seen.endpoint.name} is {seen.endpoint.state}{words}"
        )
    if seen.endpoint.state != "running" or not seen.endpoint.url:
        return Plan(requeue_after=0.5)
    if seen.answers is UNSEEN:
        return Plan(needs="answers")
    if not seen.answers:
        return Plan(requeue_after=1.0)
    found = status.candidate.model_copy(update={"endpoint_url": seen.endpoint.url})
    message = f"endpoint {seen.endpoint.name} answers; both models answer the held-out examples"
    changed = moved(
        seen,
        RolloutPhase.EVALUATING,
        Why.EVALUATING,
        message,
        facts={"EndpointReady": True},
        candidate=found,
    )
    return Plan(steps=said(seen, changed, Why.EVALUATING, message), requeue_after=0)


def ensure_evaluated(seen: Observed) -> Plan | None:
    if seen.rollout.status.evaluation is not None or is_proven(seen):
        return None
    if seen.evaluation is UNSEEN:
        return Plan(needs="evaluation")
    state = known(seen.evaluation)
    if state is None or (not state.running and state.result is None):
        candidate = candidate_target(seen)
        assert candidate is not None
        return started(seen, "evaluation", candidate)
    if state.result is None:
        return Plan(requeue_after=LOOK_SECONDS)
    result = state.result
    if not result.get("ok"):
        return not_made(seen, "evaluation", result, phase=RolloutPhase.EVALUATING)
    verdict = verdict_of(seen, result)
    explain = str(result.get("explain", ""))[:1024]
    return judged(seen, verdict, explain)


def judged(seen: Observed, verdict: EvaluationStatus, explain: str) -> Plan:
    """The verdict goes into the status in the same write that goes on or turns back."""
    if verdict.verdict == "pass":
        status = moved(
            seen,
            RolloutPhase.EVALUATING,
            Why.EVALUATION_PASSED,
            explain,
            facts={"Evaluated": True},
            evaluation=verdict,
        )
        if seen.rollout.spec.strategy.evaluate_only is not None:
            return Plan(steps=said(seen, status, Why.EVALUATION_PASSED, explain), requeue_after=0)
        passed = seen.rollout.model_copy(update={"status": status})
        plan = ensure_canary_armed(replace(seen, rollout=passed))
        assert plan is not None
        announced = Announce(reason=Why.EVALUATION_PASSED.value, message=explain)
        # The verdict is told first: it is why the canary is armed.
        return replace(plan, steps=(*plan.steps[:1], announced, *plan.steps[1:])) if plan.steps else plan
    reason = Why.EVALUATION_FAILED if verdict.verdict == "fail" else Why.EVALUATION_INCONCLUSIVE
    status = moved(
        seen,
        RolloutPhase.EVALUATING,
        reason,
        explain,
        facts={"Evaluated": True},
        evaluation=verdict,
        aborting=reason.value,
    )
    return Plan(steps=said(seen, status, reason, explain), requeue_after=0)


def verdict_of(seen: Observed, result: dict[str, Any]) -> EvaluationStatus:
    assert seen.record is not None
    version = f"{evaluation_dataset(seen)}@{result.get('as_of', '')}"
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
        looks=seen.record.looks.get(version, 0) + 1,
        findings=tuple(str(finding)[:512] for finding in result.get("findings", ()))[:32],
    )


def arm(side: dict[str, Any]) -> ArmResult:
    return ArmResult(
        success=str(side["success"]),
        latency_p50_ms=round(float(side.get("latency_p50_ms") or 0)),
        latency_p95_ms=round(float(side.get("latency_p95_ms") or 0)),
        cost_per_1k=str(side.get("cost_per_1k") or "0"),
        errors=int(side.get("errors") or 0),
    )


def conclude_evaluate_only(seen: Observed) -> Plan | None:
    """evaluateOnly: the verdict is the result; nothing moves and the endpoint goes."""
    if seen.rollout.spec.strategy.evaluate_only is None:
        return None
    record, candidate = seen.record, seen.rollout.status.candidate
    assert record is not None
    assert candidate is not None
    done = Completed(
        kind="Rollout",
        name=seen.rollout.metadata.name,
        uid=seen.uid,
        outcome=Why.EVALUATED_ONLY.value,
        version=candidate.version,
        message=f"{candidate.version} was judged; nothing was moved, as spec.strategy.evaluateOnly asks",
        finished_at=seen.now.isoformat(timespec="seconds"),
    )
    changed = settled(seen, release_endpoints(seen, record, EndpointRole.STOPPING))
    changed = with_scores(seen, changed, candidate.version)
    if candidate.version not in record.served:
        changed = changed.with_entry(candidate.version, deployment_status="evaluated")
    changed = changed.with_(
        completed={**record.completed, seen.identity: done}, looks=looked(seen, changed), active=None
    )
    return Plan(steps=(WriteRecord(record=changed, why="release: evaluated only"),), requeue_after=0)
