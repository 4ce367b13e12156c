"""`python -m tests.bench [row ...]`: measures, and ends with one table. Rows: see `ROWS`, all by default."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import tempfile
import time
import traceback
from importlib import import_module
from pathlib import Path

from tests.bench.processor import wait_until_idle
from tests.bench.stage import apply_crds, stage_for
from tests.bench.table import Row, rendered

from modelops.localcluster import start_cluster

ROW_SECONDS = 240.0
IN_ALL_SECONDS = 560.0
"""What has not begun by then is not measured."""
LOOPBACK = {
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}
"""For the SDKs of this process and of those that it starts."""

ROWS: dict[str, str] = {
    "router": "bench_router",
    "memory": "memory",
    "datasets": "conversions",
    "polling": "polling",
    "following": "following",
    "writes": "writes",
    "aborts": "aborts",
    "submissions": "submissions",
    "restart": "restart",
    "training": "training",
}
"""Each row and its module, imported when it is measured: SDKs read LOOPBACK at their import. `measure(stage)` measures it;
SANDBOX names another module than the sandbox's own."""


async def measured(names: list[str]) -> list[Row]:
    """All rows; one that cannot be measured says why, and the others go on."""
    rows: list[Row] = []
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="modelops-bench-") as folder, start_cluster() as cluster:
        apply_crds(cluster)
        wait_until_idle(cluster)
        for name in names:
            begun = time.monotonic()
            left = min(ROW_SECONDS, started + IN_ALL_SECONDS - begun)
            try:
                row = import_module(f"tests.bench.{ROWS[name]}")
                sandbox = getattr(row, "SANDBOX", "modelops.sandbox")
                async with (
                    asyncio.timeout(left),
                    stage_for(name, cluster, Path(folder), sandbox_module=sandbox) as stage,
                ):
                    rows += await row.measure(stage)
            except Exception as error:  # noqa: BLE001 - said in the table, and the other rows go on
                if not isinstance(error, TimeoutError):
                    traceback.print_exc()
                why = f"{type(error).__name__} {error}".strip().splitlines()[0][:90]
                rows.append(Row(what=name, measured=f"not measured: {why}", over=True))
            print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    return rows


def main() -> int:
    """Prints the table; 0 also where a limit is missed."""
    logging.basicConfig(level=logging.ERROR)
    os.environ.update(LOOPBACK)
    names = sys.argv[1:] or list(ROWS)
    unknown = set(names) - set(ROWS)
    if unknown:
        print(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}", file=sys.stderr)
        return 2
    begun = time.monotonic()
    rows = asyncio.run(measured(names))
    print(f"\n{rendered(rows)}\n")
    missed = sum(row.over is True for row in rows)
    load = os.getloadavg()[0]
    print(
        f"{os.cpu_count()} cores, load {load:.1f} at the end; {time.monotonic() - begun:.0f} s in all; "
        + (f"{missed} over the limit" if missed else "every limit is kept")
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
