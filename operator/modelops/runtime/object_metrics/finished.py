"""What is counted of runs and rollouts, taken from the stored object when it changes and not at each scrape."""

from __future__ import annotations

from dataclasses import dataclass

from modelops.api.v1alpha1.rollout import RolloutPhase
from modelops.api.v1alpha1.trainingrun import TrainingPhase
from modelops.domain.reasons import RolloutReason
from modelops.domain.rollout.status import TERMINAL as ROLLOUT_ENDS
from modelops.domain.training.status import TERMINAL as RUN_ENDS
from modelops.ports import Json
from modelops.runtime.object_metrics.stored import as_number, moment, number, part, text

Agent = tuple[str, str]
"""Namespace and name of an AgentModel."""

PROMOTIONS = frozenset({RolloutReason.Promoted.value, RolloutReason.AbortTooLate.value})


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """A TrainingRun. Money is in micro-USD, durations in seconds."""

    agent: Agent
    phase: str
    reason: str
    finished: bool
    duration: int | None
    """None of an estimate (spec.estimateOnly), too: it takes the time of no training."""
    estimate_and_bill: tuple[int, int, int] | None
    """Low and high end of the estimate, and the cost; only of a run that succeeded at its first attempt."""


@dataclass(frozen=True, kw_only=True)
class EvaluationFacts:
    """The newest evaluation of an agent. Shares are from -1 to 1; None where a number is not known."""

    examples: float | None
    baseline: float | None
    candidate: float | None
    difference: float | None
    low: float | None
    high: float | None
    margin: float | None


@dataclass(frozen=True, kw_only=True)
class RolloutFacts:
    """A Rollout. Times are Unix seconds; `rollback` has milliseconds by stage."""

    agent: Agent
    name: str
    phase: str
    reason: str
    finished: bool
    duration: int | None
    created: float
    ended: float | None
    verdict: str
    evaluation: EvaluationFacts | None
    rollback: dict[str, float] | None

    @property
    def promoted(self) -> bool:
        """Whether it made its candidate the stable model."""
        return self.reason in PROMOTIONS

    @property
    def aborted(self) -> bool:
        """Whether it was aborted."""
        return self.phase == RolloutPhase.ABORTED.value


def run_facts(item: Json) -> RunFacts:
    """Reads a stored TrainingRun."""
    status = part(item, "status")
    phase = text(status, "phase") or TrainingPhase.PENDING.value
    first = phase == TrainingPhase.SUCCEEDED.value and not status.get("attempts")
    trains = part(item, "spec").get("estimateOnly") is not True
    return RunFacts(
        agent=agent_of(item),
        phase=phase,
        reason=text(status, "reason"),
        finished=phase in RUN_ENDS,
        duration=_duration(status) if trains else None,
        estimate_and_bill=_estimate_and_bill(status) if first else None,
    )


def rollout_facts(item: Json) -> RolloutFacts:
    """Reads a stored Rollout."""
    status, metadata = part(item, "status"), item["metadata"]
    phase = text(status, "phase") or RolloutPhase.PENDING.value
    evaluation = part(status, "evaluation")
    rollback = part(status, "rollback")
    return RolloutFacts(
        agent=agent_of(item),
        name=metadata["name"],
        phase=phase,
        reason=text(status, "reason"),
        finished=phase in ROLLOUT_ENDS,
        duration=_duration(status),
        created=moment(metadata, "creationTimestamp") or 0.0,
        ended=moment(status, "finishedAt"),
        verdict=text(evaluation, "verdict"),
        evaluation=_evaluation(evaluation) if text(evaluation, "verdict") else None,
        rollback={
            stage: value
            for stage in ("detect", "decide", "write", "effect")
            if (value := number(rollback, f"{stage}Milliseconds")) is not None
        }
        if rollback
        else None,
    )


def agent_of(item: Json) -> Agent:
    """The agent of a stored run or rollout."""
    return item["metadata"].get("namespace", ""), text(part(part(item, "spec"), "agentModelRef"), "name")


def _duration(status: Json) -> int | None:
    start, end = moment(status, "startedAt"), moment(status, "finishedAt")
    return max(0, round(end - start)) if start is not None and end is not None else None


def _estimate_and_bill(status: Json) -> tuple[int, int, int] | None:
    estimate = part(status, "estimate")
    found = (number(estimate, "lowUSD"), number(estimate, "highUSD"), number(status, "costUSD"))
    low, high, billed = (round(usd * 1e6) if usd is not None else None for usd in found)
    return (low, high, billed) if low is not None and high is not None and billed is not None else None


def _evaluation(evaluation: Json) -> EvaluationFacts:
    interval = evaluation.get("intervalPoints")
    ends = [_share(end) for end in interval] if isinstance(interval, list) else []
    low, high = ends if len(ends) == 2 else (None, None)
    return EvaluationFacts(
        examples=number(evaluation, "examples"),
        baseline=number(part(evaluation, "baseline"), "success"),
        candidate=number(part(evaluation, "candidate"), "success"),
        difference=_share(evaluation.get("differencePoints")),
        low=low,
        high=high,
        margin=_share(evaluation.get("marginPoints")),
    )


def _share(points: object) -> float | None:
    value = as_number(points)
    return value / 100 if value is not None else None
