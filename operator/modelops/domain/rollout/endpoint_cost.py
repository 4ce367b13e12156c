"""What the candidate's endpoint costs: the time that is planned for it, its reservation and its settlement."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from modelops.api.v1alpha1.agentmodel import EndpointRole
from modelops.api.v1alpha1.meta import ConditionStatus
from modelops.api.v1alpha1.rollout import RolloutPhase
from modelops.domain.conditions import condition_of
from modelops.domain.money import micro
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import EndpointEntry, Record, Reservation, Settlement
from modelops.domain.rollout.evaluation_scores import was_reviewed
from modelops.domain.rollout.state import State

SETUP_SECONDS = 3600
"""The least time for provisioning and evaluation together, added to the strategy's own pauses."""
PAUSE_FACTOR = 1.25
"""Planned seconds per healthy second of a pause: waiting for agents and samples takes time as well."""
STOP_GRACE_SECONDS = 60
HOURS_PER_MONTH = 730
"""Hours of an average month. A status shows the price of a month, and a rebuilt record divides by the same number."""


def reservation_key(state: State) -> str:
    """The key of the rollout's reservation in the record: a rollout has one attempt."""
    return f"{state.uid}/1"


def pause_seconds(state: State) -> int:
    """The time in seconds that is planned for the strategy's pauses."""
    canary = state.rollout.spec.strategy.canary
    steps = canary.steps if canary else ()
    pauses = sum(step.pause.duration_seconds or 0 for step in steps if step.pause is not None)
    return math.ceil(pauses * PAUSE_FACTOR)


def waits_for_a_person(state: State) -> bool:
    """Whether a step may wait for a person: `pause: {}`, or an analysis, which asks one after its timeout.

    Then the endpoint is planned, reserved and paid until spec.progressDeadlineSeconds, and never longer.
    """
    canary = state.rollout.spec.strategy.canary
    return canary is not None and any(
        step.analysis is not None or (step.pause is not None and step.pause.duration_seconds is None)
        for step in canary.steps
    )


def reservation_of(state: State) -> Reservation | None:
    """What is reserved for the rollout; None where it has reserved nothing."""
    return state.record.reservations.get(reservation_key(state)) if state.record is not None else None


def paid_seconds(state: State) -> int:
    """The time in seconds for which the endpoint of a rollout with a reservation is paid; then the rollout aborts."""
    reservation = reservation_of(state)
    if reservation is not None and reservation.seconds is not None:
        return reservation.seconds
    if waits_for_a_person(state):
        return state.rollout.spec.progress_deadline_seconds
    return SETUP_SECONDS + pause_seconds(state)


def paid_setup_seconds(state: State) -> int:
    """The part of `paid_seconds` for provisioning and evaluation: what a person's answer may take is none of it."""
    reservation = reservation_of(state)
    if reservation is not None and reservation.setup_seconds is not None:
        return max(SETUP_SECONDS, reservation.setup_seconds)
    if waits_for_a_person(state):
        return SETUP_SECONDS
    return max(SETUP_SECONDS, paid_seconds(state) - pause_seconds(state))


def standing_cost_warning(state: State, usd_per_month: str | None) -> str:
    """What is wrong if serving the candidate costs more in a month than the budget allows; empty if it does not.

    It refuses nothing: the endpoint may be meant for a part of a month, and a person may raise the budget until then.
    """
    agent = state.agent_model
    active = state.record.active if state.record is not None else None
    version = active.candidate.version if active is not None else ""
    if agent is None or not usd_per_month or micro(usd_per_month) <= micro(agent.spec.budget.monthly_usd):
        return ""
    return (
        f"after a promotion, serving {version or 'the candidate'} costs ${usd_per_month} a month, and "
        f"spec.budget.monthlyUSD of AgentModel {agent.metadata.name} is ${agent.spec.budget.monthly_usd}: no training "
        "and no rollout starts once the month's budget is used up. Raise it, or choose a cheaper spec.serving"
    )


def candidate_endpoint(record: Record) -> EndpointEntry | None:
    """The candidate's entry among the record's endpoints; None where it has no endpoint of its own."""
    active = record.active
    if active is None or not active.candidate.endpoint_name:
        return None
    return next((e for e in record.endpoints if e.name == active.candidate.endpoint_name), None)


def release_endpoint(state: State, record: Record, role: EndpointRole) -> Record:
    """The record with the candidate's endpoint in this role, to be stopped after a minute.

    An endpoint that serves the stable or the previous model keeps its role.
    """
    endpoint = candidate_endpoint(record)
    if endpoint is None or endpoint.role != EndpointRole.CANARY.value:
        return record
    stop = state.now + timedelta(seconds=STOP_GRACE_SECONDS)
    changed = endpoint.model_copy(
        update={"role": role.value, "stop_after": stop.isoformat(timespec="seconds")}
    )
    return record.with_(endpoints=tuple(changed if e.name == endpoint.name else e for e in record.endpoints))


def was_never_created(state: State) -> bool:
    """Whether the service refused to create this rollout's endpoint, and has not listed it since: nothing was billed.

    `EndpointReady` is Unknown from a refusal until the rollout sees its endpoint at the service. An endpoint of which
    nothing is known yet may exist, and counts.
    """
    ready = condition_of(state.rollout.status.conditions, "EndpointReady")
    return (
        ready is not None
        and ready.status is ConditionStatus.UNKNOWN
        and ready.reason == RolloutReason.EndpointNotCreated.value
    )


def settle_reservation(state: State, record: Record) -> Record:
    """The record with the rollout's reservation replaced by what its endpoint and its calls have cost.

    The endpoint's entry counts its cost from now on, so that no minute is booked twice. An endpoint that the service
    refused to create costs nothing.
    """
    key = reservation_key(state)
    reservation = record.reservations.get(key)
    if reservation is None:
        return record
    endpoint = candidate_endpoint(record) if reservation.pays_for_endpoint else None
    changes: dict[str, Any] = {"since": state.now.isoformat(timespec="seconds")}
    if was_never_created(state):
        cost, changes["usd_micro_per_hour"] = 0, 0
    else:
        cost = endpoint.micro_usd(state.now) if endpoint is not None else 0
    cost += calls_micro_usd(state, reservation)
    endpoints = tuple(
        e.model_copy(update=changes) if endpoint and e.name == endpoint.name else e for e in record.endpoints
    )
    return record.with_(
        endpoints=endpoints,
        reservations={k: v for k, v in record.reservations.items() if k != key},
        settlements={**record.settlements, key: Settlement(usd_micro=cost, month=reservation.month)},
    )


def calls_micro_usd(state: State, reservation: Reservation) -> int:
    """What the calls that are billed one by one have cost: by the bills, else the most that was planned.

    Nothing before the evaluation began. A rollout that starts no endpoint begins it as soon as it has the lock.
    """
    status = state.rollout.status
    if was_reviewed(state):
        return 0
    if status.evaluated is not None:
        found = status.evaluated.calls_usd
        return micro(found) if found is not None else reservation.calls_usd_micro
    before = (RolloutPhase.PENDING, RolloutPhase.AWAITING_APPROVAL, RolloutPhase.PROVISIONING)
    if reservation.pays_for_endpoint and status.phase in before:
        return 0
    return reservation.calls_usd_micro
