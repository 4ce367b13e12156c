"""What a rollout costs, and the registry's scores: changes of the record only."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from modelops.api.v1alpha1.agentmodel import EndpointRole
from modelops.domain.record import EndpointEntry, Record, Settlement
from modelops.domain.rollout.state import State

SETUP_SECONDS = 3600
"""Provisioning and evaluation, added to the strategy's own pauses."""
PAUSE_SHARE = 1.25
"""Of a pause's healthy seconds: waiting for agents and samples costs time as well."""
STOP_GRACE_SECONDS = 60


def planned_seconds(state: State) -> int:
    """How long the candidate's endpoint may run before it is stable or gone: what is reserved, and no longer."""
    canary = state.rollout.spec.strategy.canary
    pauses = sum(step.pause.duration_seconds for step in canary.steps if step.pause) if canary else 0
    return SETUP_SECONDS + math.ceil(pauses * PAUSE_SHARE)


def planned_micro_usd(state: State, per_hour: int, replicas: int) -> int:
    return math.ceil(planned_seconds(state) / 3600 * per_hour * replicas)


def own_endpoint(record: Record) -> EndpointEntry | None:
    """The endpoint that the candidate is served by, where it has one of its own."""
    active = record.active
    if active is None or not active.candidate.endpoint_name:
        return None
    return next((e for e in record.endpoints if e.name == active.candidate.endpoint_name), None)


def release_endpoints(state: State, record: Record, role: EndpointRole) -> Record:
    """The candidate's endpoint in another role; one that serves stable or previous as well keeps its role."""
    mine = own_endpoint(record)
    if mine is None or mine.role != EndpointRole.CANARY.value:
        return record
    stop = state.now + timedelta(seconds=STOP_GRACE_SECONDS)
    changed = mine.model_copy(update={"role": role.value, "stop_after": stop.isoformat(timespec="seconds")})
    return record.with_(endpoints=tuple(changed if e.name == mine.name else e for e in record.endpoints))


def settled(state: State, record: Record) -> Record:
    """The rollout's reservation becomes what its endpoint has cost; from here on the endpoint is booked by its role."""
    key = f"{state.uid}/1"
    reservation = record.reservations.get(key)
    if reservation is None:
        return record
    mine = own_endpoint(record)
    cost = mine.micro_usd(state.now) if mine is not None else 0
    endpoints = tuple(
        e.model_copy(update={"since": state.now.isoformat(timespec="seconds")})
        if mine and e.name == mine.name
        else e
        for e in record.endpoints
    )
    return record.with_(
        endpoints=endpoints,
        reservations={k: v for k, v in record.reservations.items() if k != key},
        settlements={**record.settlements, key: Settlement(usd_micro=cost, month=reservation.month)},
    )


def scores(state: State) -> dict[str, Any]:
    """`eval_scores` in the mission's schema; empty before an evaluation."""
    verdict = state.rollout.status.evaluation
    if verdict is None or verdict.candidate is None:
        return {}
    return {
        "accuracy": float(verdict.candidate.success),
        "baseline_improvement": f"{float(verdict.difference_points):+.0f}%",
        "avg_latency_ms": verdict.candidate.latency_p50_milliseconds,
        "cost_per_1k": float(verdict.candidate.usd_per_1000_tokens),
    }


def with_scores(state: State, record: Record, version: str) -> Record:
    """The history's entry with what the evaluation found."""
    found = scores(state)
    if not found or record.entry(version) is None:
        return record
    dataset = evaluation_dataset(state)
    return record.with_entry(version, eval_scores=found, eval_dataset=dataset)


def with_candidate_counted(state: State, record: Record) -> dict[str, int]:
    """How often a candidate was judged on this dataset version, this one included."""
    verdict = state.rollout.status.evaluation
    if verdict is None or not verdict.dataset_version:
        return record.candidates_compared
    return {
        **record.candidates_compared,
        verdict.dataset_version: record.candidates_compared.get(verdict.dataset_version, 0) + 1,
    }


def evaluation_dataset(state: State) -> str:
    """The held-out dataset, `ls://` form: the rollout's, else the agent's, else empty."""
    own = state.rollout.spec.evaluation.dataset
    settings = state.agent_model.spec.langsmith if state.agent_model else None
    name = own or (settings.evaluation_dataset if settings else None) or ""
    return name if not name or name.startswith("ls://") else f"ls://{name}"
