"""The only clock of the operator; everything else gets it injected."""

from __future__ import annotations

import time
from datetime import UTC, datetime

# CLOCK_BOOTTIME goes on while the machine sleeps, so that a lease cannot look fresh after a laptop was
# closed.
_MONOTONIC = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """`ports.Clock` on this machine."""

    def now(self) -> datetime:
        """Wall time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go backwards and do not stand still while the machine sleeps."""
        return time.clock_gettime(_MONOTONIC)
