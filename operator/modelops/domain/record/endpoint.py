"""An Inference Endpoint as the record keeps it, and what it has cost."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from modelops.api.v1alpha1.agentmodel import EndpointRole
from modelops.domain.record.parts import RecordPart

_ENDING = (EndpointRole.STOPPING.value, EndpointRole.DELETING.value)


class EndpointEntry(RecordPart):
    """An Inference Endpoint. It is put on record before it is created, so that its cost is never lost."""

    name: str
    role: str
    repo: str
    revision: str
    version: str
    usd_micro_per_hour: int
    """Micro-USD per hour for all replicas."""
    instance: dict[str, Any]
    """`spec.serving` of the AgentModel when the endpoint was put on record."""
    since: str
    """Time from which its cost is not booked yet: first when it was put on record, later the end of what is booked."""
    account: str = ""
    """The Hugging Face account in which it was created; empty in records that do not name it yet."""
    stop_after: str = ""
    """Time after which it is deleted; empty while it has to stay."""

    @property
    def is_ending(self) -> bool:
        """Whether it is being stopped: it is not started again under this entry."""
        return self.role in _ENDING

    def micro_usd(self, until: datetime) -> int:
        """Cost from `since` to `until` in micro-USD. Every started minute is billed."""
        seconds = (until - datetime.fromisoformat(self.since)) / timedelta(seconds=1)
        minutes = max(1, math.ceil(seconds / 60))
        return -(-minutes * self.usd_micro_per_hour // 60)

    def micro_usd_by_month(self, until: datetime) -> dict[str, int]:
        """The same cost by month (UTC). A minute that lies in two months counts for the first one."""
        start, before, months = datetime.fromisoformat(self.since).astimezone(UTC), 0, {}
        while True:
            end = _end_of_month(start)
            cost = self.micro_usd(min(end, until))
            months[f"{start:%Y-%m}"] = cost - before
            if until <= end:
                return months
            start, before = end, cost


def _end_of_month(moment: datetime) -> datetime:
    first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)
