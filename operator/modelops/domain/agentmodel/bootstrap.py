"""The first record of an agent: from spec.baseline, or rebuilt from the agents' file and the statuses."""

from __future__ import annotations

from modelops.domain.agentmodel.published import with_serving_status
from modelops.domain.agentmodel.recovered_endpoints import with_endpoints, with_one_owner
from modelops.domain.agentmodel.recovered_rollouts import with_rollout
from modelops.domain.agentmodel.recovered_runs import with_runs
from modelops.domain.agentmodel.state import State
from modelops.domain.money import micro
from modelops.domain.record import Record, Target, initial_record
from modelops.domain.rollout.status import TERMINAL
from modelops.domain.versions import BASELINE


def baseline_target(state: State) -> Target:
    """v1.0.0: the model of spec.baseline, which serves the agent until a rollout is promoted."""
    baseline = state.agent_model.spec.baseline
    return Target(
        version=BASELINE,
        model=baseline.model,
        endpoint=baseline.endpoint.value,
        endpoint_url=baseline.endpoint_url,
        api_key_env=baseline.api_key_env,
    )


def first_record(state: State) -> Record:
    """A new agent's record; a lost one is rebuilt from the file, the statuses and the objects."""
    spec = state.agent_model.spec
    record = initial_record(
        agent=spec.agent,
        config_map=spec.config.config_map_ref.name,
        config_key=spec.config.config_map_ref.key,
        stable=baseline_target(state),
        now=state.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    record = with_stable(state, record)
    for identity, rollout in state.rollouts.items():
        record = with_rollout(record, identity, rollout)
    return with_serving_status(with_spend_of_month(state, with_statuses(state, record)))


def with_spend_of_month(state: State, record: Record) -> Record:
    """The record in which at least as much of this month is booked as the status says.

    The runs and rollouts whose cost it was may be deleted; the money stays spent.
    """
    spend, month = state.agent_model.status.spend, f"{state.now:%Y-%m}"
    missing = micro(spend.settled_usd) - record.booked(month) if spend and spend.month == month else 0
    if missing <= 0:
        return record
    booked = record.endpoint_spend.get(month, 0) + missing
    return record.with_(endpoint_spend={**record.endpoint_spend, month: booked})


def with_statuses(state: State, record: Record) -> Record:
    """The record with what only statuses have: TrainingRuns, rollouts that ended, endpoints."""
    unknown = {identity: run for identity, run in state.runs.items() if identity not in record.completed}
    record = with_runs(record, state, unknown)
    for identity, rollout in state.rollouts.items():
        if identity not in record.completed and rollout.status.phase in TERMINAL:
            record = with_rollout(record, identity, rollout)
    return with_one_owner(state, with_endpoints(state, record))


def with_stable(state: State, record: Record) -> Record:
    """The record with stable and previous as they are now.

    Stable is the model that the file names, because agents use it. Previous is the status's previous model, or the
    status's stable model where the file names another one.
    """
    status = state.agent_model.status
    in_file = state.file.entry.stable if state.file else None
    if (
        status.stable is None
        or in_file is None
        or in_file.model is None
        or in_file.model == record.stable.model
    ):
        return record
    stable = Target(
        version=in_file.version or status.stable.version,
        model=in_file.model,
        endpoint=in_file.endpoint or status.stable.endpoint.value,
        endpoint_url=in_file.endpoint_url or status.stable.endpoint_url,
        api_key_env=in_file.api_key_env or "HF_TOKEN",
        endpoint_name=next((e.name for e in status.endpoints if e.model == in_file.model), ""),
        revision=next((e.revision for e in status.endpoints if e.model == in_file.model), ""),
    )
    served = {**record.served, stable.version: stable}
    previous = record.stable
    old = status.previous if status.stable.model == stable.model else status.stable
    if old is not None and old.model not in (stable.model, previous.model):
        previous = Target(
            version=old.version,
            model=old.model,
            endpoint=old.endpoint.value,
            endpoint_url=old.endpoint_url,
            api_key_env="HF_TOKEN",
            endpoint_name=next((e.name for e in status.endpoints if e.model == old.model), ""),
        )
        served[previous.version] = previous
    return record.with_(
        stable=stable, previous=previous, served=served, allocated={**record.allocated, stable.version: {}}
    )
