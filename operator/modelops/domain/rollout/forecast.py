"""How many sessions the canary's pauses will see, what they could show, and which steps would show more.

Made from the agent's last days before anything is paid, and kept in `status.forecast`: plan and reservation follow it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor
from typing import Any, Final

from modelops.api.v1alpha1.forecast import StepForecast, TrafficForecast, TrafficSource
from modelops.domain.analysis.health import DIFFERENCES, rate_below
from modelops.domain.analysis.sessions_needed import excludable_points, sessions_to_exclude
from modelops.domain.rollout.evaluation import program_state
from modelops.domain.rollout.state import State
from modelops.ports import AgentTraffic

DAY: Final = 86400
LEAST_SESSIONS: Final = 6
"""Canary sessions below which a person decides: with 6 good ones, a model that fails in 42 of 100 is excluded."""
ENOUGH_SESSIONS: Final = 15
"""Good sessions that exclude 20 points; so many are asked for where twice as many are expected."""
SURE_SESSIONS: Final = 100
"""Sessions that operator reports of less than a day must have before a day is extrapolated from them."""
LEAST_SECONDS: Final = 3600
LONGEST_DAYS: Final = 14
"""The longest pause that is proposed."""
PROPOSED_WEIGHT: Final = 50


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Sessions of the agent in a day, the share of them with an error (from 0 to 1), and where that comes from."""

    source: TrafficSource
    per_day: float
    failing: float
    words: str


def forecast_of(state: State) -> TrafficForecast | None:
    """The forecast in the status, else that of now; None without a canary."""
    canary = state.rollout.spec.strategy.canary
    if canary is None:
        return None
    return state.rollout.status.forecast or make_forecast(state)


def make_forecast(state: State) -> TrafficForecast:
    """The forecast from what is known now: reports of at least a day, else LangSmith, else shorter reports."""
    rate = _rate(state)
    if rate is None:
        return TrafficForecast(
            source=TrafficSource.UNKNOWN,
            message="how many sessions a day the agent has is not known: neither its routers (modelops.router) nor "
            "spec.langsmith.project of the AgentModel has told enough. If the canary gets fewer than "
            f"{ENOUGH_SESSIONS} sessions, a person is asked before its last steps",
        )
    steps = _steps(state, rate)
    sessions = steps[-1].sessions if steps else 0
    limits = state.rollout.spec.analysis
    asks = bool(steps) and limits.min_requests is None and sessions < 2 * LEAST_SESSIONS
    proposal, better = _proposal(rate, steps)
    parts = [f"the agent has about {_per_day(rate.per_day)} ({rate.words})", *_step_words(steps, rate)]
    if asks and not sessions:
        parts.append("so only its availability is verified, and a person is asked before the last steps")
    elif asks:
        parts.append(f"if it gets fewer than {LEAST_SESSIONS}, a person is asked before the last steps")
    if limits.min_requests is not None and steps and sessions * 4 < limits.min_requests:
        parts.append(
            f"spec.analysis.minRequests {limits.min_requests} will hardly be reached, and the rollout ends at its "
            "deadline then"
        )
    parts += better
    return TrafficForecast(
        source=rate.source,
        sessions_per_day=f"{rate.per_day:.1f}".removesuffix(".0"),
        steps=steps,
        may_ask_a_person=asks and not limits.accept_low_traffic,
        proposal=proposal,
        message="; ".join(parts)[:1024],
    )


def least_sessions(state: State) -> int:
    """Canary sessions with which the last steps need no person: from 6 to 15, half of what was expected."""
    forecast = state.rollout.status.forecast
    if forecast is None or not forecast.steps:
        return ENOUGH_SESSIONS
    return max(LEAST_SESSIONS, min(ENOUGH_SESSIONS, forecast.steps[-1].sessions // 2))


def _rate(state: State) -> Rate | None:
    reports, logged = state.traffic, _logged(state)
    if reports is not None and (reports.seconds >= DAY or reports.sessions >= SURE_SESSIONS):
        return _reported(reports)
    if logged is not None:
        return logged
    if reports is not None and reports.seconds >= LEAST_SECONDS:
        return _reported(reports)
    return None


def _reported(traffic: AgentTraffic) -> Rate:
    # A process reports every 5 s, so a shorter time says nothing.
    seconds = max(traffic.seconds, 60.0)
    hours = seconds / 3600
    since = f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours"
    return Rate(
        source=TrafficSource.REPORTS,
        per_day=traffic.sessions / seconds * DAY,
        failing=traffic.failed / traffic.sessions if traffic.sessions else 0.0,
        words=f"{traffic.sessions:,} in the {since} in which the operator has listened to its routers",
    )


def _logged(state: State) -> Rate | None:
    """What the check found in LangSmith."""
    program = program_state(state.check)
    found: Any = (program.result or {}).get("recent_sessions") if program is not None else None
    if not isinstance(found, Mapping) or not found.get("seconds"):
        return None
    sessions, seconds = int(found.get("sessions") or 0), float(found["seconds"])
    return Rate(
        source=TrafficSource.LANGSMITH,
        per_day=sessions / seconds * DAY,
        failing=min(1.0, int(found.get("failed") or 0) / sessions) if sessions else 0.0,
        words=str(found.get("message") or "")[:200],
    )


def _steps(state: State, rate: Rate) -> tuple[StepForecast, ...]:
    canary = state.rollout.spec.strategy.canary
    weight, seen, found = 0, 0.0, []
    for number, step in enumerate(canary.steps if canary else (), start=1):
        weight = step.set_weight if step.set_weight is not None else weight
        seconds = step.pause.duration_seconds if step.pause is not None else None
        if seconds is None:
            continue
        seen += rate.per_day * weight / 100 * seconds / DAY
        sessions = floor(min(seen, 1e9))
        found.append(
            StepForecast(
                step=number,
                weight=weight,
                duration_seconds=seconds,
                sessions=sessions,
                excluded_points=excludable_points(sessions, expected=rate.failing),
            )
        )
    return tuple(found)


def _step_words(steps: tuple[StepForecast, ...], rate: Rate) -> list[str]:
    if not steps:
        return []
    last = steps[-1]
    where = f"{last.weight} % for {_time(last.duration_seconds)} sees {last.sessions:,} canary sessions"
    if len(steps) > 1:
        where = f"its {len(steps)} pauses see {last.sessions:,} canary sessions"
    if last.excluded_points is not None:
        return [f"{where}, which exclude {last.excluded_points} points more errors"]
    below = rate_below(last.sessions)
    if below >= 100 or rate.failing:
        return [f"{where}, which do not even exclude 20 points more errors"]
    return [f"{where}, which show at best that fewer than {below} in 100 fail"]


def _proposal(rate: Rate, steps: tuple[StepForecast, ...]) -> tuple[str, list[str]]:
    """Steps that show more than these, as YAML and in words; nothing where these show enough, or nothing would."""
    now = steps[-1].excluded_points if steps else None
    if not steps or now == DIFFERENCES[0]:
        return "", []
    for goal in DIFFERENCES:
        if now is not None and goal >= now:
            break
        needed = sessions_to_exclude(goal, expected=rate.failing)
        if needed is None or not rate.per_day:
            continue
        days = max(1, ceil(needed / (rate.per_day * PROPOSED_WEIGHT / 100)))
        if days > LONGEST_DAYS:
            continue
        sees = floor(rate.per_day * PROPOSED_WEIGHT / 100 * days)
        words = (
            f"{PROPOSED_WEIGHT} % for {_time(days * DAY)} would see {sees:,} and exclude {goal} points "
            "(status.forecast.proposal)"
        )
        return _yaml(days), [words]
    return "", [f"no pause of up to {LONGEST_DAYS} days would show more"]


def _yaml(days: int) -> str:
    """The steps and a deadline that leaves a quarter of the pause and a day for the rest."""
    return (
        f"progressDeadlineSeconds: {min(2592000, ceil(days * DAY * 1.25) + DAY)}\n"
        "strategy:\n"
        "  canary:\n"
        "    steps:\n"
        f"      - setWeight: {PROPOSED_WEIGHT}\n"
        "      - pause:\n"
        f"          durationSeconds: {days * DAY}\n"
        "      - setWeight: 100\n"
    )


def _per_day(sessions: float) -> str:
    return f"{sessions:,.0f} sessions a day" if sessions >= 3 else f"{sessions:.1f} sessions a day"


def _time(seconds: int) -> str:
    for unit, size in (("day", DAY), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds % size == 0 and seconds >= size:
            count = seconds // size
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return f"{seconds} seconds"
