"""The record's first form: from the baseline, or rebuilt from everything that remembers it."""

from __future__ import annotations

from datetime import datetime, timedelta

from modelops.api.v1alpha1.agentmodel import EndpointRole, EndpointStatus
from modelops.api.v1alpha1.rollout import CandidateStatus, Rollout, RolloutPhase
from modelops.api.v1alpha1.trainingrun import TrainingPhase, TrainingRun
from modelops.domain.agentmodel.published import with_standing
from modelops.domain.agentmodel.state import State
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
from modelops.domain.rollout.booking import STOP_GRACE_SECONDS
from modelops.domain.training.account import account_of
from modelops.domain.versions import BASELINE, release_version


def baseline_target(state: State) -> Target:
    """v1.0.0: what serves the agent before anything was promoted."""
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
    return with_standing(with_statuses(state, record))


def with_statuses(state: State, record: Record) -> Record:
    """With what statuses remember and the record does not: runs, rollouts that ended, endpoints."""
    for identity, run in state.runs.items():
        if identity not in record.completed:
            record = with_run(record, state, identity, run)
    for identity, rollout in state.rollouts.items():
        if identity not in record.completed and rollout.status.phase in ENDED:
            record = with_rollout(record, identity, rollout)
    return with_owners(state, with_endpoints(state, record))


def with_stable(state: State, record: Record) -> Record:
    """Stable: what the file names, which is what serves; previous: what the status remembers, or still calls stable."""
    status = state.agent_model.status
    found = state.file.entry.stable if state.file else None
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


def with_run(record: Record, state: State, identity: str, run: TrainingRun) -> Record:
    """What a TrainingRun's status remembers: that it ended, its version, what it cost, what it has reserved."""
    status, meta = run.status, run.metadata
    month = f"{state.now:%Y-%m}"
    record = with_attempts(record, run, month=month)
    key = f"{meta.uid}/{attempt_of(run)}"
    if status.phase not in (TrainingPhase.SUCCEEDED, TrainingPhase.FAILED, TrainingPhase.CANCELLED):
        # A settled attempt, which its status has not been told of yet, is covered no more.
        known = key in record.reservations or key in record.settlements
        if status.job is None or status.estimate is None or known:
            return record
        reserved = Reservation(
            usd_micro=micro(status.estimate.high_usd),
            month=month,
            name=meta.name,
            account=account_of(run, hub_org=""),  # which stands for the installation's
        )
        return record.with_(reservations={**record.reservations, key: reserved})
    if status.reason == TrainingReason.AlreadyCompleted.value:
        pass
    elif status.job is None and not status.attempts:
        return record
    outcome = (
        TrainingReason.Trained.value
        if status.phase is TrainingPhase.SUCCEEDED
        else status.reason or TrainingReason.JobFailed.value
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
    changed = record.with_(
        completed={**record.completed, identity: done},
        reservations={k: v for k, v in record.reservations.items() if k != key},
    )
    if status.cost_usd is not None and key not in record.settlements:
        before = sum(micro(past.cost_usd) for past in status.attempts)
        settled = Settlement(
            usd_micro=max(0, micro(status.cost_usd) - before),
            month=month,
            jobs=(status.job.id,) if status.job else (),
        )
        changed = changed.with_(settlements={**changed.settlements, key: settled})
    if status.model is None or record.entry(version) is not None or record.entry_of(status.model.repo):
        return changed
    finished = status.finished_at.strftime("%Y-%m-%dT%H:%M:%SZ") if status.finished_at else ""
    entry = RegistryEntry(
        version=version,
        model=status.model.repo,
        base_model=run.base_model,
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
    allocated = {version: {}, **changed.allocated}
    return changed.with_(history=(*changed.history, entry), allocated=allocated)


def attempt_of(run: TrainingRun) -> int:
    """The number of the attempt that is under way, or was the last."""
    status = run.status
    if status.job is not None:
        return status.job.attempt
    return status.attempts[-1].attempt if status.attempts else 1


def with_attempts(record: Record, run: TrainingRun, *, month: str) -> Record:
    """With what a run's earlier attempts cost, and without their cover: they are over."""
    found = {
        f"{run.metadata.uid}/{past.attempt}": Settlement(
            usd_micro=micro(past.cost_usd), month=month, jobs=(past.job,) if past.job else ()
        )
        for past in run.status.attempts
    }
    reservations = {key: held for key, held in record.reservations.items() if key not in found}
    return record.with_(settlements={**found, **record.settlements}, reservations=reservations)


HOURS_PER_MONTH = 730
ENDED = frozenset({RolloutPhase.SUCCEEDED, RolloutPhase.REJECTED, RolloutPhase.ABORTED, RolloutPhase.FAILED})


def with_rollout(record: Record, identity: str, rollout: Rollout) -> Record:
    """What a Rollout's status remembers: that it ended, or that it held the agent.

    A promotion that reached the file counts as done: whether it was committed is lost, and the file is what serves.
    """
    status, meta = rollout.status, rollout.metadata
    version = status.candidate.version if status.candidate else ""
    serves = status.candidate is not None and record.stable.model == status.candidate.model
    promoted = status.promoting and serves
    if promoted or status.phase in ENDED:
        known = {reason.value for reason in RolloutReason}
        outcome = status.abort_reason or (status.reason if status.reason in known else "")
        if promoted or (status.phase is RolloutPhase.SUCCEEDED and status.promoting):
            outcome = RolloutReason.Promoted.value
        done = Completed(
            kind="Rollout",
            name=meta.name,
            uid=meta.uid,
            outcome=outcome or RolloutReason.AbortedByUser.value,
            version=version,
        )
        held = record.active is not None and record.active.uid == meta.uid
        changed = record.with_(
            completed={**record.completed, identity: done},
            active=None if held else record.active,
            reservations={k: v for k, v in record.reservations.items() if k != f"{meta.uid}/1"},
        )
        if outcome == RolloutReason.Promoted.value and status.candidate is not None:
            changed = with_served(changed, status.candidate)
        return with_endpoint_of_stable(changed, status.candidate) if promoted else changed
    if status.started_at is None or status.candidate is None or record.active is not None:
        return record
    found = status.candidate
    candidate = record.served.get(found.version) or target_of(found)
    active = Active(uid=meta.uid, name=meta.name, digest=identity, candidate=candidate)
    allocated = {**record.allocated, candidate.version: record.allocated.get(candidate.version, {})}
    return with_cover(record.with_(active=active, allocated=allocated), rollout, status.started_at)


def with_served(record: Record, found: CandidateStatus) -> Record:
    """A version that was promoted once can be returned to, without a new proof."""
    version = release_version(found.version)
    if version in record.served or not found.model:
        return record
    target = target_of(found).model_copy(update={"version": version})
    return record.with_(served={**record.served, version: target})


def target_of(found: CandidateStatus) -> Target:
    return Target(
        version=found.version,
        model=found.model,
        endpoint=found.endpoint,
        endpoint_url=found.endpoint_url if not found.endpoint_name else "",
        api_key_env="HF_TOKEN",
        endpoint_name=found.endpoint_name,
        revision=found.revision,
    )


def with_cover(record: Record, rollout: Rollout, started_at: datetime) -> Record:
    """What the rollout has reserved for its endpoint: while it is on record, nothing runs longer than it covers."""
    status, meta = rollout.status, rollout.metadata
    cover = Reservation(
        usd_micro=micro(status.estimate_usd or "0"),
        month=f"{started_at:%Y-%m}",
        name=meta.name,
        reserved_at=started_at.isoformat(timespec="seconds"),
    )
    if not cover.usd_micro:
        return record
    return record.with_(reservations={**record.reservations, f"{meta.uid}/1": cover})


def with_endpoint_of_stable(record: Record, found: CandidateStatus | None) -> Record:
    """Stable, which was read from the file, with what only the rollout that promoted it remembers."""
    if found is None or record.stable.endpoint_name:
        return record
    stable = record.stable.model_copy(
        update={"endpoint_name": found.endpoint_name, "revision": found.revision}
    )
    return record.with_(stable=stable, served={**record.served, stable.version: stable})


def endpoint_of_active(state: State, record: Record) -> EndpointEntry | None:
    """The active candidate's endpoint, where no status shows it yet."""
    active = record.active
    if active is None or not active.candidate.endpoint_name:
        return None
    rollout = next((r for r in state.rollouts.values() if r.metadata.uid == active.uid), None)
    if rollout is None:
        return None
    standing = micro(rollout.status.standing_usd_per_month or "0")
    return EndpointEntry(
        name=active.candidate.endpoint_name,
        role=EndpointRole.CANARY.value,
        repo=active.candidate.model,
        revision=active.candidate.revision,
        version=active.candidate.version,
        usd_micro_per_hour=-(-standing // HOURS_PER_MONTH),
        instance=state.agent_model.spec.serving.wire(),
        since=(rollout.status.started_at or state.now).isoformat(timespec="seconds"),
    )


def with_endpoints(state: State, record: Record) -> Record:
    """Every endpoint that a status names is on record: it bills."""
    stable, known = record.stable.endpoint_name, {entry.name for entry in record.endpoints}
    entries = tuple(
        EndpointEntry(
            name=e.name,
            role=EndpointRole.STABLE.value if e.name == stable else former(e.role),
            repo=e.model,
            revision=e.revision,
            version="",
            usd_micro_per_hour=micro(e.usd_per_hour),
            instance=state.agent_model.spec.serving.wire(),
            since=(e.since or state.now).isoformat(timespec="seconds"),
            stop_after=stop_after(state, e) if e.name != stable else "",
        )
        for e in state.agent_model.status.endpoints
        if e.name not in known
    )
    active = endpoint_of_active(state, record)
    if active is not None and all(e.name != active.name for e in (*record.endpoints, *entries)):
        entries = (*entries, active)
    return record.with_(endpoints=(*record.endpoints, *entries))


def with_owners(state: State, record: Record) -> Record:
    """Whatever bills has one owner: what the active rollout tries is a canary, any other canary is on its way out."""
    tried = record.active.candidate.endpoint_name if record.active else ""
    stop = (state.now + timedelta(seconds=STOP_GRACE_SECONDS)).isoformat(timespec="seconds")

    def owned(entry: EndpointEntry) -> EndpointEntry:
        if entry.name == tried and entry.role == EndpointRole.STOPPING.value:
            return entry.model_copy(update={"role": EndpointRole.CANARY.value, "stop_after": ""})
        if entry.name != tried and entry.role == EndpointRole.CANARY.value:
            return entry.model_copy(update={"role": EndpointRole.STOPPING.value, "stop_after": stop})
        return entry

    return record.with_(endpoints=tuple(owned(entry) for entry in record.endpoints))


def former(role: EndpointRole) -> str:
    """The role of an endpoint that does not serve stable: what did serves the previous model now."""
    return EndpointRole.PREVIOUS.value if role is EndpointRole.STABLE else role.value


def stop_after(state: State, found: EndpointStatus) -> str:
    """As the status says; for what was stable until now, the rollback window."""
    if found.stop_after is not None:
        return found.stop_after.isoformat(timespec="seconds")
    if found.role is not EndpointRole.STABLE:
        return ""
    window = timedelta(seconds=state.agent_model.spec.rollback_window_seconds)
    return (state.now + window).isoformat(timespec="seconds")
