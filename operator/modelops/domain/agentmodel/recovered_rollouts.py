"""What a Rollout's status still has of a lost record: its end, its agent lock and its reservation."""

from __future__ import annotations

from datetime import datetime

from modelops.api.v1alpha1.rollout import CandidateStatus, Rollout, RolloutPhase
from modelops.domain.money import micro
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import ActiveRollout, Completed, Record, Reservation, Target
from modelops.domain.rollout.status import TERMINAL
from modelops.domain.versions import release_version


def with_rollout(record: Record, identity: str, rollout: Rollout) -> Record:
    """The record with the rollout's end, or with its agent lock.

    A promotion that reached the file counts as committed: the lost record had the commit, and agents use the file.
    """
    status, meta = rollout.status, rollout.metadata
    version = status.candidate.version if status.candidate else ""
    is_stable = status.candidate is not None and is_stable_version(record, status.candidate)
    promoted = status.promoting and is_stable
    if promoted or status.phase in TERMINAL:
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
        has_agent_lock = record.active is not None and record.active.uid == meta.uid
        changed = record.with_(
            completed={**record.completed, identity: done},
            active=None if has_agent_lock else record.active,
            reservations={k: v for k, v in record.reservations.items() if k != f"{meta.uid}/1"},
        )
        if outcome == RolloutReason.Promoted.value and status.candidate is not None:
            changed = with_served(changed, status.candidate)
        return with_endpoint_of_stable(changed, status.candidate) if promoted else changed
    if status.started_at is None or status.candidate is None or record.active is not None:
        return record
    candidate = record.served.get(status.candidate.version)
    if candidate is None or candidate.endpoint_name != status.candidate.endpoint_name:
        candidate = target_of(status.candidate)
    active = ActiveRollout(uid=meta.uid, name=meta.name, digest=identity, candidate=candidate)
    allocated = {**record.allocated, candidate.version: record.allocated.get(candidate.version, {})}
    return with_reservation(record.with_(active=active, allocated=allocated), rollout, status.started_at)


def is_stable_version(record: Record, candidate: CandidateStatus) -> bool:
    """Whether stable is the candidate; another commit of its repository is another version."""
    stable = record.stable
    return (stable.model, stable.version) == (candidate.model, release_version(candidate.version))


def with_served(record: Record, candidate: CandidateStatus) -> Record:
    """The record with the version among those that were stable: a rollout can return to it without an evaluation.

    The endpoint's name comes from the rollout where it is not on record: an address alone may not answer any more.
    """
    version = release_version(candidate.version)
    known = record.served.get(version)
    if not candidate.model or (known is not None and (known.endpoint_name or not candidate.endpoint_name)):
        return record
    target = target_of(candidate).model_copy(
        update={"version": version, "endpoint_url": candidate.endpoint_url}
    )
    return record.with_(served={**record.served, version: target})


def target_of(candidate: CandidateStatus) -> Target:
    """The candidate in a status as a target."""
    return Target(
        version=candidate.version,
        model=candidate.model,
        endpoint=candidate.endpoint,
        endpoint_url=candidate.endpoint_url if not candidate.endpoint_name else "",
        api_key_env="HF_TOKEN",
        endpoint_name=candidate.endpoint_name,
        revision=candidate.revision,
    )


def with_reservation(record: Record, rollout: Rollout, started_at: datetime) -> Record:
    """The record with the rollout's reservation, which limits how long its endpoint runs."""
    status, meta = rollout.status, rollout.metadata
    reservation = Reservation(
        usd_micro=micro(status.estimate_usd or "0"),
        month=f"{started_at:%Y-%m}",
        name=meta.name,
        reserved_at=started_at.isoformat(timespec="seconds"),
        seconds=status.planned_seconds,
        calls_usd_micro=micro(status.planned_calls_usd or "0"),
    )
    if not reservation.usd_micro:
        return record
    return record.with_(reservations={**record.reservations, f"{meta.uid}/1": reservation})


def with_endpoint_of_stable(record: Record, candidate: CandidateStatus | None) -> Record:
    """The record with stable's endpoint and revision, which only the promoting rollout has: stable is from the file."""
    if candidate is None or record.stable.endpoint_name:
        return record
    stable = record.stable.model_copy(
        update={"endpoint_name": candidate.endpoint_name, "revision": candidate.revision}
    )
    return record.with_(stable=stable, served={**record.served, stable.version: stable})
