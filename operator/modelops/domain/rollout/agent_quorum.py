"""How many agent processes must have confirmed a routing before the next step: protocol "Quorum"."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil

from modelops.domain.rollout.state import State
from modelops.ports import AgentReports


def processes_needed(state: State, reports: AgentReports) -> int:
    """Quorum 1 and 2: all of them before the first weight, and `minAgentsInSync` at a later one."""
    canary = state.rollout.spec.strategy.canary
    asked = canary.min_agents_in_sync if canary else None
    if asked is None or state.require_intent().weight == 0:
        return reports.expected
    return min(reports.expected, quorum_of(asked, reports.expected))


def quorum_of(asked: str, expected: int) -> int:
    """The number that `minAgentsInSync` asks for; a percentage is rounded up."""
    share = asked.removesuffix("%")
    return int(asked) if share == asked else ceil(expected * int(share) / 100)


def everyone_is_in_sync(state: State) -> bool:
    """Quorum 3, and condition RoutingPropagated: whether no process that is expected is behind."""
    reports = state.require_reports()
    return reports.in_sync >= reports.expected


def earlier_canary_may_be_used(state: State) -> str:
    """Quorum 2: why a silent process may still send sessions to the canary of an earlier rollout; empty: none may.

    The block of that canary was renewed for the last time before its rollout ended, so its `canary_until` has passed
    `canary_seconds` after that. A process that reported after that end, without a canary, is past it.
    """
    reports, record = state.require_reports(), state.require_record()
    if reports.silent_seconds is None:
        return ""
    ends = [
        datetime.fromisoformat(done.finished_at)
        for identity, done in record.completed.items()
        if done.kind == "Rollout" and done.finished_at and identity != state.identity
    ]
    if not ends:
        return ""
    over = max(ends) + timedelta(seconds=state.settings.canary_seconds)
    if state.now >= over or reports.silent_seconds < (state.now - max(ends)).total_seconds():
        return ""
    return (
        "an agent process is silent that may still use the canary of an earlier rollout: the first weight waits until "
        f"that canary has expired everywhere, at {over.isoformat(timespec='seconds')}"
    )
