"""The record's first form: from the baseline, or rebuilt from everything that remembers it."""

from __future__ import annotations

from modelops.api.v1alpha1.rollout import Rollout, RolloutPhase
from modelops.api.v1alpha1.trainingrun import TrainingPhase, TrainingRun
from modelops.domain.agentmodel.observed import Observed
from modelops.domain.money import micro
from modelops.domain.reasons import RolloutReason, TrainingReason
from modelops.domain.record import (
    Active,
    Completed,
    EndpointEntry,
    Record,
    RegistryEntry,
    Reservation,
    Settlement,
    Target,
    initial_record,
)
from modelops.domain.versions import BASELINE


def baseline_target(seen: Observed) -> Target:
    """v1.0.0: what serves the agent before anything was promoted."""
    baseline = seen.agent_model.spec.baseline
    return Target(
        version=BASELINE,
        model=baseline.model,
        endpoint=baseline.endpoint.value,
        endpoint_url=baseline.endpoint_url,
        api_key_env=baseline.api_key_env,
    )


def first_record(seen: Observed) -> Record:
    """A new agent's record; a lost one is rebuilt from the file, the statuses and the objects."""
    spec = seen.agent_model.spec
    record = initial_record(
        agent=spec.agent,
        config_map=spec.config.config_map_ref.name,
        config_key=spec.config.config_map_ref.key,
        stable=baseline_target(seen),
        now=seen.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    record = with_stable(seen, record)
    for identity, run in seen.runs.items():
        record = with_run(record, seen, identity, run)
    for identity, rollout in seen.rollouts.items():
        record = with_rollout(record, identity, rollout)
    return with_endpoints(seen, record)


def with_stable(seen: Observed, record: Record) -> Record:
    """Stable: what the file names, which is what serves; previous: what the status remembers."""
    status = seen.agent_model.status
    found = seen.file.entry.stable if seen.file else None
    if status.stable is None or found is None or found.model is None or found.model == record.stable.model:
        return record
    stable = Target(
        version=found.version or status.stable.version,
        model=found.model,
        endpoint=found.endpoint or status.stable.endpoint.value,
        endpoint_url=found.endpoint_url or status.stable.endpoint_url,
        api_key_env=found.api_key_env or "HF_TOKEN",
        endpoint_name=next((e.name for e in status.endpoints if e.model == found.model), ""),
        revision=next((e.revision for e in status.endpoints if e.model == found.model), ""),
    )
    served = {**record.served, stable.version: stable}
    previous = record.stable
    if status.previous is not None and status.previous.model not in (stable.model, previous.model):
        old = status.previous
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


def with_run(record: Record, seen: Observed, identity: str, run: TrainingRun) -> Record:
    """What a TrainingRun's status remembers: that it ended, its version, what it cost, what it has reserved."""
    status, meta = run.status, run.metadata
    key = f"{meta.uid}/{status.job.attempt if status.job else 1}"
    month = f"{seen.now:%Y-%m}"
    if status.phase not in (TrainingPhase.SUCCEEDED, TrainingPhase.FAILED, TrainingPhase.CANCELLED):
        if status.job is None or status.estimate is None:
            return record
        reserved = Reservation(usd_micro=micro(status.estimate.high_usd), month=month, name=meta.name)
        return record.with_(reservations={**record.reservations, key: reserved})
    if status.reason == TrainingReason.ALREADY_COMPLETED.value:
        pass
    elif status.job is None:
        return record
    outcome = (
        TrainingReason.TRAINED.value
        if status.phase is TrainingPhase.SUCCEEDED
        else status.reason or TrainingReason.JOB_FAILED.value
    )
    version = status.model.version if status.model else ""
    done = Completed(
        kind="TrainingRun",
        name=meta.name,
        uid=meta.uid,
        outcome=outcome,
        version=version,
        revision=status.model.revision if status.model else "",
    )
    changed = record.with_(completed={**record.completed, identity: done})
    if status.cost_usd is not None:
        settled = Settlement(
            usd_micro=micro(status.cost_usd), month=month, jobs=(status.job.id,) if status.job else ()
        )
        changed = changed.with_(settlements={**changed.settlements, key: settled})
    if status.model is None:
        return changed
    finished = status.finished_at.strftime("%Y-%m-%dT%H:%M:%SZ") if status.finished_at else ""
    entry = RegistryEntry(
        version=version,
        model=status.model.repo,
        base_model=run.spec.base_model,
        training_method=run.spec.method.value,
        training_dataset=f"ls://{status.dataset.langsmith_id}" if status.dataset else "",
        trained_at=finished,
        hub_repo=status.model.repo,
        deployment_status="trained",
        lineage={
            "run": meta.uid,
            "revision": status.model.revision,
            "base_revision": status.base_revision,
            "rebuilt": True,
        },
    )
    return changed.with_(history=(*changed.history, entry), allocated={**changed.allocated, version: {}})


def with_rollout(record: Record, identity: str, rollout: Rollout) -> Record:
    """What a Rollout's status remembers: that it ended, or that it held the agent."""
    status, meta = rollout.status, rollout.metadata
    version = status.candidate.version if status.candidate else ""
    if status.phase in (
        RolloutPhase.SUCCEEDED,
        RolloutPhase.REJECTED,
        RolloutPhase.ABORTED,
        RolloutPhase.FAILED,
    ):
        known = {reason.value for reason in RolloutReason}
        outcome = status.aborting or (status.reason if status.reason in known else "")
        if status.phase is RolloutPhase.SUCCEEDED and status.promoting:
            outcome = RolloutReason.PROMOTED.value
        done = Completed(
            kind="Rollout",
            name=meta.name,
            uid=meta.uid,
            outcome=outcome or RolloutReason.ABORTED_BY_USER.value,
            version=version,
        )
        return record.with_(completed={**record.completed, identity: done})
    if status.started_at is None or status.candidate is None or record.active is not None:
        return record
    found = status.candidate
    candidate = Target(
        version=found.version,
        model=found.model,
        endpoint=found.endpoint,
        endpoint_url=found.endpoint_url if not found.endpoint_name else "",
        api_key_env="HF_TOKEN",
        endpoint_name=found.endpoint_name,
        revision=found.revision,
    )
    return record.with_(active=Active(uid=meta.uid, name=meta.name, digest=identity, candidate=candidate))


def with_endpoints(seen: Observed, record: Record) -> Record:
    """Every endpoint that the status names is put back on record: it bills."""
    entries = tuple(
        EndpointEntry(
            name=e.name,
            role=e.role.value,
            repo=e.model,
            revision=e.revision,
            version="",
            usd_micro_per_hour=micro(e.usd_per_hour),
            instance=seen.agent_model.spec.serving.wire(),
            since=(e.since or seen.now).isoformat(timespec="seconds"),
            stop_after=e.stop_after.isoformat(timespec="seconds") if e.stop_after else "",
        )
        for e in seen.agent_model.status.endpoints
    )
    return record.with_(endpoints=entries)
