"""The money of one agent, from its record. The sums of a record are made once for each version of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from modelops.domain.record import Record

OVERDUE = timedelta(minutes=10)
"""An endpoint that is still there so long after it was to be stopped bills without need."""


@dataclass(frozen=True, kw_only=True)
class Spending:
    """Money in micro-USD."""

    reserved: Mapping[str, int]
    """By month, as `settled`."""
    settled: Mapping[str, int]
    reservation_uids: frozenset[str]
    """Uids of the runs and rollouts that have a reservation."""
    active_uid: str
    """Uid of the rollout that holds the lock; empty where none does."""
    stray_jobs: int
    """Jobs that run although their attempt has ended."""
    slim: Record
    """The record without everything that grows with the number of finished objects."""

    @classmethod
    def of(cls, record: Record) -> Spending:
        """Reads a record; linear in its size."""
        reserved, settled = Counter[str](), Counter[str](record.endpoint_spend)
        for reservation in record.reservations.values():
            reserved[reservation.month] += reservation.usd_micro
        for settlement in record.settlements.values():
            settled[settlement.month] += settlement.usd_micro
        active = record.active.uid if record.active else ""
        cover = {key: r for key, r in record.reservations.items() if key == f"{active}/1"}
        return cls(
            reserved=reserved,
            settled=settled,
            reservation_uids=frozenset(key.rpartition("/")[0] for key in record.reservations),
            active_uid=active,
            stray_jobs=len(record.strays),
            slim=record.with_(
                reservations=cover,
                settlements={},
                completed={},
                history=(),
                allocated={},
                served={},
                endpoint_spend={},
                candidates_compared={},
                evaluation_choices={},
                speeds=(),
                strays={},
                undone={},
            ),
        )

    def standing(self, now: datetime) -> int:
        """What running endpoints have cost this month and is not booked yet."""
        return self.slim.running_endpoint_cost(f"{now:%Y-%m}", now)

    def price_by_role(self) -> Mapping[str, int]:
        """Micro-USD per hour of all endpoints, by role."""
        prices = Counter[str]()
        for entry in self.slim.endpoints:
            prices[entry.role] += entry.usd_micro_per_hour
        return prices

    def overdue_endpoints(self, now: datetime) -> int:
        """Endpoints that should have been stopped for `OVERDUE`."""
        return sum(
            bool(entry.stop_after) and now > datetime.fromisoformat(entry.stop_after) + OVERDUE
            for entry in self.slim.endpoints
        )
