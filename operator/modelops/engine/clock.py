"""The system clock. It is used only here and injected everywhere else."""

from __future__ import annotations

import time
from datetime import UTC, datetime

# CLOCK_BOOTTIME advances while the machine sleeps. A lease therefore cannot seem fresh after a laptop was closed.
_MONOTONIC = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """`ports.Clock` on this machine."""

    def now(self) -> datetime:
        """Wall time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never decrease and that advance while the machine sleeps."""
        return time.clock_gettime(_MONOTONIC)
