"""A canary with few sessions: its pauses end, and a person decides where too little is known to go on by itself."""

from __future__ import annotations

from math import ceil
from typing import Final

from modelops.domain.analysis.health import rate_below
from modelops.domain.analysis.metrics import METRICS, TOUCHED
from modelops.domain.analysis.sessions_needed import sessions_to_exclude
from modelops.domain.rollout.analysis_summary import evidence_of
from modelops.domain.rollout.forecast import least_sessions
from modelops.domain.rollout.promote_request import following, is_opened
from modelops.domain.rollout.review import was_approved
from modelops.domain.rollout.state import State

MOST_UNASKED_WEIGHT: Final = 50
"""Percent of sessions up to which a weight is raised although few sessions were seen: stable serves most of them."""
MANY_SESSIONS: Final = 50
"""From here on the judge alone decides; also the requests of a canary of whose sessions nothing is known."""
_FLAG: Final = METRICS[TOUCHED].flag


def too_few_sessions(state: State) -> str:
    """Why a person is asked before the next weight or the promotion; empty where enough is known to go on.

    Only after a timed pause, and not where spec.analysis.minRequests says how much is enough. What a person has opened
    or approved needs no second answer.
    """
    canary, limits = state.rollout.spec.strategy.canary, state.rollout.spec.analysis
    at = state.rollout.status.step
    if canary is None or limits.min_requests is not None or was_approved(state) or state.reports is None:
        return ""
    passed = [s for s in canary.steps[:at] if s.pause is not None]
    if not any(s.pause and s.pause.duration_seconds for s in passed) or last_pause_is_opened(state):
        return ""
    position = following(state, canary.steps)
    if position < len(canary.steps):
        weight = canary.steps[position].set_weight
        if weight is None or weight <= MOST_UNASKED_WEIGHT:
            return ""
    evidence = evidence_of(state)
    seen, bad = evidence.canary[0], evidence.canary[_FLAG]
    if not seen and state.reports.canary.requests >= MANY_SESSIONS:
        return ""
    if (
        seen >= MANY_SESSIONS
        or evidence.excluded_points is not None
        or (not bad and seen >= least_sessions(state))
    ):
        return ""
    if limits.accept_low_traffic and seen and not bad:
        return ""
    if not seen:
        return (
            "no session has reached the canary in the time of its pauses, so nothing is known of its answers: only its "
            "availability is verified (every agent reaches it)"
        )
    return f"{known(state)}. That is too little to go on without a person"


def last_pause_is_opened(state: State) -> bool:
    """Whether a person has opened the last pause that the rollout has come to (spec.promote)."""
    canary, at = state.rollout.spec.strategy.canary, state.rollout.status.step
    steps = enumerate(canary.steps[:at] if canary else (), start=1)
    passed = [number for number, step in steps if step.pause is not None]
    return bool(passed) and is_opened(state, passed[-1])


def known(state: State) -> str:
    """What the canary's sessions have shown, and what it would take to know more; empty where nothing is known."""
    evidence = evidence_of(state)
    seen, bad = evidence.canary[0], evidence.canary[_FLAG]
    if not seen:
        return ""
    number = "1 canary session" if seen == 1 else f"{seen:,} canary sessions"
    stable = evidence.stable
    if bad:
        words = f"{number}, {bad:,} bad (stable {stable[_FLAG]:,} of {stable[0]:,})"
    else:
        # A session that began just now may still fail, so it is no evidence yet.
        ended = evidence.settled[0]
        below = rate_below(ended)
        words = f"{number}, none bad"
        if below < 100:
            which = "" if ended == seen else f" ({ended:,} began over 15 minutes ago)"
            words = f"{words}{which}: fewer than {below} in 100 fail"
    if evidence.excluded_points == 5:
        return f"{words}. It is at most 5 points worse"
    most = f"It is at most {evidence.excluded_points} points worse. " if evidence.excluded_points else ""
    return f"{words}. {most}Whether it is 5 points worse is not known{_takes(state, seen)}"


def _takes(state: State, seen: int) -> str:
    """How many more sessions tell, and in how many days they come at the weight of the last pause."""
    stable, forecast = evidence_of(state).stable, state.rollout.status.forecast
    needed = sessions_to_exclude(5, expected=stable[_FLAG] / stable[0] if stable[0] else 0.0)
    if needed is None or needed <= seen:
        return ""
    more = f"{needed - seen:,} more sessions" if needed - seen > 1 else "1 more session"
    if forecast is None or not forecast.steps or not float(forecast.sessions_per_day or 0):
        return f" ({more})"
    a_day = float(forecast.sessions_per_day or 0) * forecast.steps[-1].weight / 100
    days = ceil((needed - seen) / a_day) if a_day else 0
    if not days:
        return f" ({more})"
    return f" ({more}, {days:,} {'day' if days == 1 else 'days'})"


def known_at_promotion(state: State) -> str:
    """What the last words of a rollout say of the canary, with a separator before it; empty without a canary."""
    if state.rollout.spec.strategy.canary is None or state.reports is None:
        return ""
    found = known(state)
    if found:
        return f". {found}"
    return (
        ""
        if state.reports.canary.requests
        else ". No session reached the canary: only its availability was verified"
    )
