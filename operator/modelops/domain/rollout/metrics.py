"""The metrics' part in a rollout: a failure above its limit aborts, and anything but a good measurement holds.

No data, NaN or a provider that is away never promotes and never aborts: the rollout holds until its deadline. Once an
abort was decided nothing is asked any more, so going back never needs a provider.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from modelops.api.v1alpha1.analysis_metrics import MetricPhase
from modelops.api.v1alpha1.rollout import AnalysisStatus, RolloutPhase
from modelops.domain.facts import UNSEEN
from modelops.domain.metrics.counting import is_worth_writing
from modelops.domain.metrics.schedule import is_overdue
from modelops.domain.plan import Plan, WriteStatus
from modelops.domain.reasons import RolloutReason
from modelops.domain.rollout.abort import latch_abort
from modelops.domain.rollout.actions import CountHealthyTime, RolloutFact, RolloutPlan
from modelops.domain.rollout.analysis_summary import analysis_at_abort
from modelops.domain.rollout.metric_state import Watched, due_metrics, watched_metrics
from modelops.domain.rollout.promote_request import promotes_at_once
from modelops.domain.rollout.state import State
from modelops.domain.rollout.status import wait_in_phase
from modelops.grammar import counted as counted_words

SAID_AFTER_SECONDS: Final = 15.0
"""A step that waits for its first measurement says so only after this time."""
_RESUMED: Final = "the rollout was paused since the last inconclusive measurement: it is measured again"


def measure_metrics(state: State) -> RolloutPlan | None:
    """Asks for what is due, counts it, and aborts where a metric failed too often.

    Comes with `abort_on_breach` before every wait, also before that for an approval or of a paused rollout.
    """
    watched = watched_metrics(state)
    if not watched:
        return None
    if state.metrics is UNSEEN and due_metrics(state):
        return Plan(needs=RolloutFact.METRICS)
    if state.rollout.spec.paused:
        watched = tuple(_asked_again(one) for one in watched)
    analysis = state.rollout.status.analysis or AnalysisStatus()
    counted = tuple(one.now for one in watched)
    for one in watched:
        if not one.metric.dry_run and one.now.failed > one.metric.failure_limit:
            at_abort = analysis_at_abort(state) or analysis
            return latch_abort(
                state,
                RolloutReason.MetricFailed,
                failure_words(one),
                analysis=at_abort.model_copy(update={"metrics": counted}),
            )
    named = {status.name for status in analysis.metrics}
    if not any(
        one.metric.name not in named or is_worth_writing(one.metric, one.written, one.now) for one in watched
    ):
        return None
    status = state.rollout.status.model_copy(
        update={"analysis": analysis.model_copy(update={"metrics": counted})}
    )
    return Plan(steps=(WriteStatus(status=status),), requeue_after=0)


def metrics_hold(state: State) -> RolloutPlan | None:
    """Keeps time from counting while a metric is not measured, or a person must say what follows from it."""
    silent = False
    for one in _deciding(state):
        if one.now.inconclusive > one.metric.inconclusive_limit and not promotes_at_once(state):
            return _hold(state, RolloutReason.MetricInconclusive, inconclusive_words(one))
        late = is_overdue(one.metric, one.now, state.now)
        if late or one.now.consecutive_errors > one.metric.consecutive_error_limit:
            return _hold(state, RolloutReason.MetricUnavailable, unavailable_words(one, late=late))
        silent = silent or one.now.phase is MetricPhase.ERROR
    return _hold(state, None, "") if silent else None


def metrics_await_measurement(state: State) -> RolloutPlan | None:
    """Right before a raise or a promotion: each metric's newest measurement is good, and of the current step."""
    began = state.rollout.status.step_started_at
    for one in _deciding(state):
        now = one.now
        of_step = now.measured_at is not None and (began is None or now.measured_at >= began)
        # Who promotes at once has answered what is inconclusive; what cannot be measured stays unknown.
        enough = now.phase is MetricPhase.INCONCLUSIVE and promotes_at_once(state)
        if (now.phase is MetricPhase.SUCCESSFUL or enough) and of_step:
            if one.due_since(now, state.now) is None:
                continue
            return _hold(state, None, "")  # The next answer is on its way.
        last = (
            f"; the last one: {now.message}"
            if now.message and now.phase is not MetricPhase.SUCCESSFUL
            else ""
        )
        message = (
            f"metric {one.metric.name} needs a good measurement in this step, one every "
            f"{one.metric.interval_seconds} s{last}"
        )
        short = began is not None and (state.now - began).total_seconds() < SAID_AFTER_SECONDS
        return _hold(state, None if short else RolloutReason.WaitingForMetrics, message)
    return None


def _deciding(state: State) -> tuple[Watched, ...]:
    return tuple(one for one in watched_metrics(state) if not one.metric.dry_run)


def _asked_again(one: Watched) -> Watched:
    """A person paused the rollout, which answers its question: what is inconclusive counts anew."""
    if one.now.inconclusive <= one.metric.inconclusive_limit:
        return one
    changes: dict[str, Any] = {"inconclusive": 0}
    if one.now.phase is MetricPhase.INCONCLUSIVE:
        changes |= {"phase": MetricPhase.PENDING, "message": _RESUMED}
    return replace(one, now=one.now.model_copy(update=changes))


def _hold(state: State, reason: RolloutReason | None, message: str) -> RolloutPlan:
    """Waits without counting time. The status is written when the reason is new, not when a number changes."""
    tick, after = CountHealthyTime(healthy=False), state.settings.poll_seconds
    if reason is None or state.rollout.status.reason == reason.value:
        return Plan(steps=(tick,), requeue_after=after)
    plan = wait_in_phase(state, RolloutPhase.PROGRESSING, reason, message, after=after)
    return Plan(steps=(*plan.steps, tick), requeue_after=after)


def failure_words(one: Watched) -> str:
    """Which metric failed, by which numbers and condition."""
    metric, now = one.metric, one.now
    times = counted_words(now.failed, "measurement")
    allowed = f"{times} failed, {metric.failure_limit} allowed"
    last = now.message if now.phase is MetricPhase.FAILED else f"now {now.message}"
    return f"metric {metric.name}: {last} ({allowed}): all sessions go back to stable"


def inconclusive_words(one: Watched) -> str:
    """What a person is asked."""
    metric, now = one.metric, one.now
    times = counted_words(now.inconclusive, "measurement")
    return (
        f"metric {metric.name} is inconclusive: {now.message} ({times}, {metric.inconclusive_limit} allowed). The "
        "weight stays and nothing is promoted until a person decides: set spec.abort to go back, pause and resume the "
        "rollout to measure again, or set spec.promote.full to promote it all the same"
    )


def unavailable_words(one: Watched, *, late: bool) -> str:
    """Why the metric has no value, and that nothing is decided from that."""
    metric, now = one.metric, one.now
    if late:
        since = f"{now.measured_at:%H:%M:%S} UTC" if now.measured_at else "the canary's first traffic"
        why = f"no measurement since {since}, one every {metric.interval_seconds} s is due"
    else:
        why = f"{now.message} ({counted_words(now.consecutive_errors, 'error')} in a row)"
    return (
        f"metric {metric.name} cannot be measured: {why}. The weight stays, and no time counts, until it can be; that "
        "alone neither promotes nor aborts"
    )
