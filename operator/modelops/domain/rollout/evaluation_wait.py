"""An evaluation that waits while the candidate's endpoint bills: until when, and what a person should know of it."""

from __future__ import annotations

from datetime import datetime, timedelta

from modelops.domain.money import display_usd
from modelops.domain.reasons import RolloutReason
from modelops.domain.rollout.deadline import has_reservation, latest_end
from modelops.domain.rollout.endpoint_cost import candidate_endpoint, paid_setup_seconds
from modelops.domain.rollout.state import State


def billing_words(state: State, until: datetime | None) -> str:
    """What the wait costs and how to end it; empty where the rollout has started no endpoint."""
    endpoint = candidate_endpoint(state.require_record())
    if endpoint is None or until is None or not has_reservation(state):
        return ""
    return (
        f". Meanwhile endpoint {endpoint.name} costs {display_usd(endpoint.usd_micro_per_hour)} an hour, until "
        f"{until:%Y-%m-%d %H:%M} UTC at the latest: set spec.abort to end the rollout now"
    )


def latest_token(state: State) -> datetime | None:
    """Until when another token is waited for; None before the agent is locked.

    A rollout that has started an endpoint waits for as long as it planned for provisioning and evaluation: otherwise a
    night without a token would be paid for with what is reserved for the pauses of the canary.
    """
    started, end = state.rollout.status.started_at, latest_end(state)
    if started is None or end is None or not has_reservation(state):
        return end
    return min(end, started + timedelta(seconds=paid_setup_seconds(state)))


def gives_up_waiting_for_token(state: State) -> bool:
    """Whether no other token came in time. The first refusal is always followed by another try."""
    until = latest_token(state)
    waits_already = state.rollout.status.reason == RolloutReason.TokenRefused.value
    return until is not None and waits_already and state.now >= until
