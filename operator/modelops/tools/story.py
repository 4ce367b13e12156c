"""The story of an object: a line for each thing that happened, with its time, how long it lasted, and the numbers.

It is told from what the API server has: `status.history`, the fields of the status, and the record for the cost.
A Rollout of an older operator has no history; then the times of its conditions are told.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import Final

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.history import RolloutTransition
from modelops.api.v1alpha1.meta import ConditionStatus
from modelops.api.v1alpha1.rollout import EvaluationStatus, Rollout, RolloutStatus
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.client import has_finished
from modelops.domain.conditions import condition_of
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import Record
from modelops.tools.durations import duration
from modelops.tools.results import StoryLine

_BAD: Final = frozenset({"Aborted", "Rejected", "Failed"})
_EVALUATED: Final = frozenset(
    {
        RolloutReason.EvaluationPassed,
        RolloutReason.EvaluationFailed,
        RolloutReason.EvaluationInconclusive,
        RolloutReason.EvaluatedOnly,
    }
)
_TITLES: Final[dict[str, str]] = {
    RolloutReason.EvaluationPlanned: "planned",
    RolloutReason.NeedsApproval: "needs approval",
    RolloutReason.Approved: "goes on",
    RolloutReason.Provisioning: "endpoint starts",
    RolloutReason.Evaluating: "evaluation",
    RolloutReason.EvaluationPassed: "evaluated",
    RolloutReason.EvaluationFailed: "evaluated",
    RolloutReason.EvaluationInconclusive: "evaluated",
    RolloutReason.Arming: "agents test the canary",
    RolloutReason.Advancing: "weight",
    RolloutReason.Watching: "pause",
    RolloutReason.Paused: "held by a person",
    RolloutReason.WaitingForPromotion: "waits for promote",
    RolloutReason.BothTracksIll: "both tracks ill",
    RolloutReason.MetricInconclusive: "inconclusive",
    RolloutReason.MetricUnavailable: "cannot be measured",
    RolloutReason.Aborting: "abort",
    RolloutReason.GoingBack: "goes back",
    RolloutReason.Promoting: "promotion",
    RolloutReason.Promoted: "promoted",
    RolloutReason.AnotherVersionServes: "replaced",
}
"""What a reason is called in the story; any other one is a wait, or how the rollout ended."""


def story_of_rollout(
    rollout: Rollout, *, agent: AgentModel | None, record: Record | None, now: datetime
) -> tuple[StoryLine, ...]:
    """All lines, the oldest first. `agent`, `record`: None where the caller may not read them."""
    lines = [
        _created(rollout, now),
        *_verdict_in_passing(rollout.status),
        *_transitions(rollout, now),
        *_approvals(rollout.status),
    ]
    lines.sort(key=lambda line: line.at)
    return (*lines, *_end(rollout, agent, record, now))


def _created(rollout: Rollout, now: datetime) -> StoryLine:
    meta, spec = rollout.metadata, rollout.spec
    by = f" for {spec.requested_by}" if spec.requested_by else ""
    named = spec.candidate
    what = named.version or (named.model.repo if named.model is not None else "") or "its candidate"
    if named.training_run_ref is not None:
        what = f"the model of TrainingRun {named.training_run_ref.name}"
    return StoryLine(
        at=meta.creation_timestamp or rollout.status.started_at or now,
        what="created",
        text=f"to try {what}{by}, for at most ${spec.max_usd}",
    )


def _transitions(rollout: Rollout, now: datetime) -> Iterator[StoryLine]:
    history = rollout.status.history
    if not history:
        yield from _of_conditions(rollout)
        return
    for at, entry in enumerate(history):
        after = history[at + 1] if at + 1 < len(history) else None
        until = after.at if after is not None else rollout.status.finished_at or now
        lasted = max(0.0, (until - entry.at).total_seconds())
        line = _line(rollout, entry, after, lasted)
        yield line if entry.phase not in _BAD else line.model_copy(update={"bad": True})
        if entry.folded:
            yield StoryLine(at=entry.at, what="…", text=f"{entry.folded} more changes, which are not kept")


def _line(
    rollout: Rollout, entry: RolloutTransition, after: RolloutTransition | None, lasted: float
) -> StoryLine:
    """One transition. The numbers of a weight or a pause are those at its end."""
    numbers = after if after is not None and entry.weight else entry
    live = rollout.status.analysis
    sessions, failed, evidence = numbers.sessions, numbers.failed_sessions, numbers.evidence
    if after is None and entry.weight and live is not None and live.canary is not None:
        sessions, failed, evidence = live.canary.sessions, live.canary.failed_sessions, live.evidence
    is_end = entry.phase in (*_BAD, "Succeeded")
    return StoryLine(
        at=entry.at,
        seconds=None if is_end else lasted,
        what=_title(entry),
        text=_text(rollout, entry, lasted, over=after is not None),
        reason=entry.reason,
        step=entry.step or None,
        weight=entry.weight,
        sessions=sessions if entry.weight else None,
        failed_sessions=failed if entry.weight else None,
        evidence=evidence if entry.weight else "",
        bad=(is_end and entry.phase in _BAD) or entry.reason == RolloutReason.Aborting,
    )


def _title(entry: RolloutTransition) -> str:
    if entry.phase in _BAD:
        return entry.phase.lower()
    title = _TITLES.get(entry.reason)
    if title is None:
        return "ended" if entry.phase == "Succeeded" else "waits"
    return f"{entry.weight} %" if title == "weight" else title


def _text(rollout: Rollout, entry: RolloutTransition, lasted: float, *, over: bool) -> str:
    status, reason = rollout.status, entry.reason
    if reason == RolloutReason.Provisioning and entry.phase == "Provisioning":
        took = f"; it answered after {duration(lasted)}" if over else ""
        return f"{entry.message}{_cost(status)}{took}"
    if reason == RolloutReason.EvaluationPlanned:
        return _plan(status.evaluation) or entry.message
    if reason in _EVALUATED and status.evaluated is not None:
        return _verdict(status.evaluated)
    if entry.phase in _BAD and reason == status.abort_reason and reason not in _EVALUATED:
        return f"{reason}: all sessions are on stable" if status.intent is not None else reason
    if reason == RolloutReason.Aborting:
        return f"{status.abort_reason}: {entry.message}" if status.abort_reason else entry.message
    if reason not in _TITLES or reason == RolloutReason.NeedsApproval:
        return f"{reason}: {entry.message}"
    return entry.message


def _plan(evaluation: EvaluationStatus | None) -> str:
    plan = evaluation.plan if evaluation is not None else None
    if plan is None:
        return ""
    return (
        f"{plan.examples} examples, margin {plan.margin_points} points: a candidate that is as good passes with "
        f"{_percent(plan.pass_if_equal)}, one that is {plan.expected_gain_points} points better with "
        f"{_percent(plan.pass_if_expected_gain)}; about {plan.minutes} min"
    )


def _cost(status: RolloutStatus) -> str:
    planned = f"; up to {_usd(status.estimate_usd)}" if status.estimate_usd is not None else ""
    if planned and status.planned_seconds:
        return f"{planned} for at most {duration(status.planned_seconds)} of its endpoint and the calls"
    return planned


def _verdict(found: EvaluationStatus) -> str:
    interval = " to ".join(found.interval_points)
    scores = (
        f": stable {_percent(found.baseline.success)}, candidate {_percent(found.candidate.success)}"
        if found.baseline is not None and found.candidate is not None
        else ""
    )
    return (
        f"{found.verdict}{scores} of {found.examples} examples; difference {found.difference_points} points"
        f"{f' (interval {interval})' if interval else ''}, margin {found.margin_points}"
    )


def _approvals(status: RolloutStatus) -> Iterator[StoryLine]:
    for one in status.approvals:
        by = one.approved_by or "a person whose approval was removed at once"
        yield StoryLine(at=one.at, what="approved", text=f"{one.stage.value} by {by}")


def _verdict_in_passing(status: RolloutStatus) -> Iterator[StoryLine]:
    """The verdict, where the rollout went on in the same write, so that no transition has it."""
    found = condition_of(status.conditions, "Evaluated")
    told = any(entry.reason in _EVALUATED for entry in status.history)
    if status.evaluated is None or found is None or not status.history or told:
        return
    reason = "EvaluationPassed" if status.evaluated.verdict == "pass" else found.reason
    yield StoryLine(
        at=found.last_transition_time, what="evaluated", text=_verdict(status.evaluated), reason=reason
    )


def _of_conditions(rollout: Rollout) -> Iterator[StoryLine]:
    """What is known of a Rollout without a history."""
    status = rollout.status
    if status.started_at is not None:
        yield StoryLine(at=status.started_at, what="started", text=f"it has the agent's lock{_cost(status)}")
    for one in status.conditions:
        if one.status is ConditionStatus.TRUE and one.type in ("EndpointReady", "Evaluated"):
            said = _verdict(status.evaluated) if one.type == "Evaluated" and status.evaluated else one.message
            title = "endpoint answers" if one.type == "EndpointReady" else "evaluated"
            yield StoryLine(at=one.last_transition_time, what=title, text=said)
    if status.step_started_at is not None:
        yield StoryLine(
            at=status.step_started_at, what=f"step {status.step}", text=f"{status.weight} percent"
        )
    if status.finished_at is not None:
        ended = next((one for one in status.conditions if one.type == "Finished"), None)
        said = f"{status.reason}: {ended.message}" if ended is not None else status.reason
        bad = status.phase.value in _BAD
        yield StoryLine(at=status.finished_at, what=status.phase.value.lower(), text=said, bad=bad)


def _end(
    rollout: Rollout, agent: AgentModel | None, record: Record | None, now: datetime
) -> Iterator[StoryLine]:
    """What has no time of its own: the return in seconds, the cost, and what serves now."""
    status = rollout.status
    at = status.finished_at or now
    times = status.rollback
    if times is not None:
        effect = times.effect_milliseconds
        seen = "not every agent has confirmed it" if effect is None else f"{_seconds(effect)} until in effect"
        found = times.detect_milliseconds or times.decide_milliseconds
        detected = (
            f"{_seconds(times.detect_milliseconds)} to detect, {_seconds(times.decide_milliseconds)} to decide, "
            if found
            else ""
        )
        written = f"{_seconds(times.write_milliseconds)} to write, "
        yield StoryLine(at=at, what="rollback took", text=f"{detected}{written}{seen}")
    settled = record.settlements.get(f"{rollout.metadata.uid}/1") if record is not None else None
    reserved = record.reservations.get(f"{rollout.metadata.uid}/1") if record is not None else None
    if settled is not None:
        yield StoryLine(at=at, what="cost", text=f"${settled.usd_micro / 1e6:.2f}")
    elif reserved is not None and not has_finished(rollout):
        yield StoryLine(at=at, what="cost", text=f"${reserved.usd_micro / 1e6:.2f} are reserved")
    stable = agent.status.stable if agent is not None else None
    if agent is not None and stable is not None:
        yield StoryLine(
            at=now, what="serves now", text=f"{stable.version} ({stable.model}) serves {agent.spec.agent}"
        )


def _usd(amount: str) -> str:
    """A limit, which is never shown as less than it is."""
    cents = (Decimal(amount) * 100).to_integral_value(ROUND_CEILING)
    return f"${cents / 100:,.2f}"


def _percent(share: str) -> str:
    try:
        return f"{100 * float(share):.0f} %"
    except ValueError:
        return share


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.2f} s"


def story_of_training(run: TrainingRun, *, now: datetime) -> tuple[StoryLine, ...]:
    """The story of a TrainingRun: its transitions, and the attempts with their cost."""
    meta, status = run.metadata, run.status
    lines = [
        StoryLine(
            at=meta.creation_timestamp or status.started_at or now,
            what="created",
            text=f"to train for at most ${run.spec.max_usd}",
        )
    ]
    for at, entry in enumerate(status.history):
        after = status.history[at + 1] if at + 1 < len(status.history) else None
        until = after.at if after is not None else status.finished_at or now
        is_end = entry.phase in (*_BAD, "Succeeded", "Cancelled")
        attempt = f"attempt {entry.attempt}, " if entry.attempt > 1 else ""
        lines.append(
            StoryLine(
                at=entry.at,
                seconds=None if is_end else max(0.0, (until - entry.at).total_seconds()),
                what=entry.phase.lower(),
                text=f"{attempt}{entry.reason}: {entry.message}" if entry.message else entry.reason,
                reason=entry.reason,
                bad=entry.phase in _BAD,
            )
        )
    for one in status.attempts:
        if one.finished_at is not None:
            said = f"{one.reason}: {one.message}; it cost ${one.cost_usd}"
            lines.append(StoryLine(at=one.finished_at, what=f"attempt {one.attempt} ended", text=said))
    lines.sort(key=lambda line: line.at)
    if status.cost_usd is not None:
        spent = f"${status.cost_usd} of at most ${run.spec.max_usd}"
        lines.append(StoryLine(at=status.finished_at or now, what="cost", text=spent))
    return tuple(lines)


def story_of_agent(agent: AgentModel, *, now: datetime) -> tuple[StoryLine, ...]:
    """The story of an AgentModel: which version served when, and what kept the agent from being ready."""
    lines = []
    for at, entry in enumerate(agent.status.history):
        after = agent.status.history[at + 1] if at + 1 < len(agent.status.history) else None
        until = after.at if after is not None else now
        bad = entry.phase != "Ready"
        said = f"{entry.reason}: {entry.message}" if bad and entry.message else entry.message or entry.reason
        lines.append(
            StoryLine(
                at=entry.at,
                seconds=max(0.0, (until - entry.at).total_seconds()),
                what=entry.version or "agent",
                text=said,
                reason=entry.reason,
                bad=bad,
            )
        )
    return tuple(lines)


def story_of(
    value: Rollout | TrainingRun | AgentModel,
    *,
    agent: AgentModel | None,
    record: Record | None,
    now: datetime,
) -> tuple[StoryLine, ...]:
    """The story of an object of any of the three kinds."""
    if isinstance(value, Rollout):
        return story_of_rollout(value, agent=agent, record=record, now=now)
    return (
        story_of_training(value, now=now)
        if isinstance(value, TrainingRun)
        else story_of_agent(value, now=now)
    )
