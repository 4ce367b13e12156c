"""What a run bills: followed while it runs, stopped at its end by the service's own lists, and added up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final, TypeVar

from modelops.domain.record import Record
from modelops.livesmoke.observations import Observations
from modelops.livesmoke.prices import computes, endpoint_cost, flavor_prices, job_cost
from modelops.livesmoke.run_file import RunIdentity
from modelops.livesmoke.services import UNREADABLE, ServiceError, Services

Progress = Callable[[str], None]
T = TypeVar("T")
ENDED: Final = frozenset({"COMPLETED", "CANCELED", "ERROR", "DELETED"})
"""Stages in which a job does not bill; one of an unknown stage does."""
_RETRY_SECONDS: Final = 1.0
_MOST_RETRY_SECONDS: Final = 10.0


@dataclass
class SeenEndpoint:
    """An endpoint of the run. `until`: when it was last in the service's list."""

    created: datetime
    until: datetime
    per_hour: Decimal | None


@dataclass
class Ledger:
    """What the service has shown of the run: its jobs by id, and its endpoints by name."""

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    endpoints: dict[str, SeenEndpoint] = field(default_factory=dict)
    flavors: dict[str, Decimal] = field(default_factory=dict)
    instances: dict[tuple[str, str], Decimal] = field(default_factory=dict)

    def use_prices(self, hardware: list[dict[str, Any]], provider: dict[str, Any]) -> None:
        """Use the service's price lists."""
        self.flavors = flavor_prices(hardware)
        self.instances = {
            (key[2], key[3]): Decimal(str(compute["pricePerHour"])) for key, compute in computes(provider)
        }

    def look_at_jobs(
        self, services: Services, run: RunIdentity, labels: tuple[str, ...], seen: Observations
    ) -> list[str]:
        """Read the service's list of the run's jobs; returns the ids of those that bill now.

        Raises the errors of ServiceError, and one of UNREADABLE for an answer of another form.
        """
        running = []
        for job in services.jobs_of(run, labels):
            self.jobs[str(job["id"])] = seen.answer("job", job)
            stage = str((job.get("status") or {}).get("stage"))
            seen.word("stage of a job", stage)
            if stage not in ENDED:
                running.append(str(job["id"]))
        return running

    def look_at_endpoints(self, services: Services, run: RunIdentity, seen: Observations) -> list[str]:
        """Read the service's list of the run's endpoints; returns their names. Raises as `look_at_jobs` does."""
        now, names = datetime.now(UTC), []
        for item in services.endpoints_of(run):
            seen.answer("endpoint", item)
            status, compute = item.get("status") or {}, item.get("compute") or {}
            seen.word("state of an endpoint", status.get("state"))
            price = self.instances.get((str(compute.get("instanceType")), str(compute.get("instanceSize"))))
            created = datetime.fromisoformat(status["createdAt"]) if status.get("createdAt") else now
            known = self.endpoints.setdefault(str(item["name"]), SeenEndpoint(created, now, price))
            known.until = now
            names.append(str(item["name"]))
        return names

    def job_costs(self) -> dict[str, Decimal | None]:
        """The cost of each job by the service's times and prices; None where it names no price."""
        return {job_id: job_cost(job, self.flavors) for job_id, job in self.jobs.items()}

    def endpoint_costs(self) -> dict[str, Decimal | None]:
        """The cost of each endpoint from its creation until it was last listed."""
        return {
            name: None
            if one.per_hour is None
            else endpoint_cost((one.until - one.created).total_seconds(), one.per_hour)
            for name, one in self.endpoints.items()
        }


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """How the stop of everything that bills ended. `left`: what may still bill, for people; empty if nothing does."""

    cancelled: tuple[str, ...]
    deleted: tuple[str, ...]
    left: tuple[str, ...]


def stop_everything(
    services: Services,
    run: RunIdentity,
    labels: tuple[str, ...],
    ledger: Ledger,
    seen: Observations,
    progress: Progress,
    *,
    quiet_seconds: float,
    within_seconds: float = 600.0,
) -> Stopped:
    """Cancel every job and delete every endpoint of the run, until the service has listed none for `quiet_seconds`.

    It needs no operator. A job whose submission was answered by nothing may appear in the list only seconds later.
    """
    cancelled, deleted, left = dict[str, None](), dict[str, None](), ["nothing could be listed yet"]
    deadline, quiet_since, pause = time.monotonic() + within_seconds, None, _RETRY_SECONDS

    def cancel(job_id: str) -> None:
        if job_id not in cancelled:
            progress(f"cancelling job {job_id}")
        services.cancel_job(run.org, job_id)
        cancelled[job_id] = None

    def delete(name: str) -> None:
        if name not in deleted:
            progress(f"deleting endpoint {name}")
        services.delete_endpoint(run.org, name)
        deleted[name] = None

    while time.monotonic() < deadline:
        now = time.monotonic()
        problems: list[str] = []
        jobs = _attempt(lambda: ledger.look_at_jobs(services, run, labels, seen), problems) or []
        for job_id in jobs:
            _attempt(partial(cancel, job_id), problems)
        endpoints = _attempt(lambda: ledger.look_at_endpoints(services, run, seen), problems) or []
        for name in endpoints:
            _attempt(partial(delete, name), problems)
        left = [f"job {one}" for one in jobs] + [f"endpoint {one}" for one in endpoints]
        left += [f"what the service did not list or stop: {problem}" for problem in problems]
        for problem in problems:
            progress(f"trying again: {problem}")
        pause = min(2 * pause, _MOST_RETRY_SECONDS) if problems else _RETRY_SECONDS
        quiet_since = None if left else (now if quiet_since is None else quiet_since)
        if quiet_since is not None and now - quiet_since >= quiet_seconds:
            break
        time.sleep(pause if left else min(pause, quiet_seconds))
    else:
        left = left or ["what appeared after the last list"]
    return Stopped(cancelled=tuple(cancelled), deleted=tuple(deleted), left=tuple(left))


def _attempt(call: Callable[[], T], problems: list[str]) -> T | None:
    """What the call returns; None if it failed, and `problems` says why. One failure stops nothing else."""
    try:
        return call()
    except (*ServiceError, *UNREADABLE) as error:
        problems.append(str(error))
        return None


@dataclass(frozen=True, kw_only=True)
class Bill:
    """What the run has cost in US dollars: by the operator's record, and by the service's own times and prices."""

    record_lines: tuple[str, ...]
    record: Decimal | None
    service_lines: tuple[str, ...]
    service: Decimal


def make_bill(record: Record | None, ledger: Ledger, now: datetime) -> Bill:
    """The bill. `record`: None where no record could be read."""
    lines, total = [], Decimal(0)
    if record is not None:
        for key, settlement in record.settlements.items():
            lines.append(f"booked for {key}: {_usd(settlement.usd_micro)}")
            total += Decimal(settlement.usd_micro) / 1_000_000
        for month, micro in record.endpoint_spend.items():
            lines.append(f"booked for endpoints that ended in {month}: {_usd(micro)}")
            total += Decimal(micro) / 1_000_000
        for key, reservation in record.reservations.items():
            lines.append(f"still reserved for {reservation.name} ({key}): {_usd(reservation.usd_micro)}")
        for entry in record.endpoints:
            cost = entry.micro_usd(now)
            lines.append(f"endpoint {entry.name}, not booked yet: {_usd(cost)}")
            total += Decimal(cost) / 1_000_000
    service_lines, service = [], Decimal(0)
    for kind, costs in (("job", ledger.job_costs()), ("endpoint", ledger.endpoint_costs())):
        for name, amount in costs.items():
            service_lines.append(
                f"{kind} {name}: {'no price is listed' if amount is None else f'${amount:.4f}'}"
            )
            service += amount or Decimal(0)
    return Bill(
        record_lines=tuple(lines),
        record=None if record is None else total,
        service_lines=tuple(service_lines),
        service=service,
    )


def _usd(micro: int) -> str:
    return f"${Decimal(micro) / 1_000_000:.4f}"
