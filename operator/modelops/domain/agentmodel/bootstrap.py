"""The first record of an agent: from spec.baseline, or rebuilt from the agents' file and the statuses."""

from __future__ import annotations

from modelops.api.v1alpha1.agentmodel import ServedVersion
from modelops.domain.agentmodel.published import with_serving_status
from modelops.domain.agentmodel.recovered_endpoints import with_endpoints, with_one_owner
from modelops.domain.agentmodel.recovered_rollouts import with_rollout
from modelops.domain.agentmodel.recovered_runs import with_runs
from modelops.domain.agentmodel.recovered_versions import undone_versions, with_endpoint
from modelops.domain.agentmodel.state import State
from modelops.domain.agentsfile import StableTarget
from modelops.domain.money import micro
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import Record, Target, Undo, initial_record
from modelops.domain.rollout.candidate import API_KEY_ENV
from modelops.domain.rollout.status import TERMINAL
from modelops.domain.undo import ended, field_undo
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
    record = with_field_done(state, record.with_(undone=undone_versions(state, record)))
    return with_serving_status(with_spend_of_month(state, with_statuses(state, record)))


def with_field_done(state: State, record: Record) -> Record:
    """The record in which spec.undo counts as done: one that stays in Git acted long ago, and must not act again.

    On a new agent nothing has served that it could go to.
    """
    field = field_undo(state.agent_model)
    if field is None:
        return record
    undo = Undo(by=field.by, to=field.to, at="", name=field.by, digest=field.digest)
    message = "the record was made while spec.undo was set, so it does nothing: use another id to go back"
    at = state.now.isoformat(timespec="seconds")
    done = ended(undo, RolloutReason.Superseded, message, at=at)
    return record.with_(completed={**record.completed, field.digest: done})


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
    """The record with stable and previous as they are now; `record.stable` is the baseline.

    Stable is the model that the file names, because agents use it. Previous is the status's previous version, or the
    status's stable version where the file names another one.
    """
    status, baseline = state.agent_model.status, record.stable
    in_file = state.file.entry.stable if state.file else None
    if status.stable is None or in_file is None or in_file.model is None:
        return record
    is_baseline = in_file.model == baseline.model and in_file.version in (None, BASELINE)
    stable = baseline if is_baseline else target_in_file(state, in_file, status.stable)
    previous = previous_target(state, stable, baseline)
    served = {
        **record.served,
        **({previous.version: previous} if previous else {}),
        stable.version: stable,
    }
    return record.with_(
        stable=stable, previous=previous, served=served, allocated={**record.allocated, stable.version: {}}
    )


def target_in_file(state: State, in_file: StableTarget, before: ServedVersion) -> Target:
    """The stable model that the file names; a key that it leaves out is as the status has it."""
    target = Target(
        version=in_file.version or before.version,
        model=in_file.model or "",
        endpoint=in_file.endpoint or before.endpoint.value,
        endpoint_url=in_file.endpoint_url or before.endpoint_url,
        api_key_env=in_file.api_key_env or API_KEY_ENV,
    )
    return with_endpoint(state, target)


def previous_target(state: State, stable: Target, baseline: Target) -> Target | None:
    """The version that served before `stable`; None where there is none, or where its endpoint is not known.

    The address alone is not enough for a model with an endpoint of ours: the endpoint may be stopped by now.
    """
    status = state.agent_model.status
    old = status.previous if status.stable and is_version(status.stable, stable) else status.stable
    if old is None or is_version(old, baseline) or is_version(old, stable):
        return None if stable == baseline else baseline
    target = Target(
        version=old.version,
        model=old.model,
        endpoint=old.endpoint.value,
        endpoint_url=old.endpoint_url,
        api_key_env=API_KEY_ENV,
    )
    found = with_endpoint(state, target)
    return found if found.endpoint_name or found.endpoint != "huggingface" else None


def is_version(served: ServedVersion, target: Target) -> bool:
    """Whether both are the same version of the same model: two commits of a repository have the same model."""
    return (served.version, served.model) == (target.version, target.model)
