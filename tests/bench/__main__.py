"""`python -m tests.bench [row ...]` measures the named rows (see `ROWS`; by default all) and prints one table."""

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

from tests.bench.environment import apply_crds, environment_for
from tests.bench.processor import wait_until_idle
from tests.bench.table import Row, render_table

from modelops.localcluster import start_cluster

ROW_SECONDS = 240.0
TOTAL_SECONDS = 560.0
"""A row that has not started by then is not measured."""
ONLY_BY_NAME = ("node", "delivery")
"""Rows that are measured only where they are named; each takes as long as its module's SECONDS."""
LOOPBACK = {
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}
"""Environment of this process and of those that it starts; the SDKs read it."""

ROWS: dict[str, str] = {
    "router": "bench_router",
    "memory": "memory",
    "datasets": "conversions",
    "polling": "polling",
    "following": "following",
    "writes": "writes",
    "aborts": "aborts",
    "delivery": "delivery",
    "submissions": "submissions",
    "restart": "restart",
    "training": "training",
    "scrape": "scrape",
    "chart": "charts",
    "commands": "commands",
    "mcp": "mcp_calls",
    "codetests": "code_tests",
    "evaluation": "evaluations",
    "node": "on_node",
}
"""Each row and its module. A module is imported only when its row is measured, because SDKs read LOOPBACK at their
import. The module's `measure(env)` returns the rows; its SANDBOX, if any, replaces the sandbox's module."""


async def measure_rows(names: list[str]) -> list[Row]:
    """Measures all rows. A row that fails has the reason in the table, and the others are still measured."""
    rows: list[Row] = []
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="modelops-bench-") as folder, start_cluster() as cluster:
        apply_crds(cluster)
        wait_until_idle(cluster)
        for name in names:
            row_started = time.monotonic()
            left = min(ROW_SECONDS, started + TOTAL_SECONDS - row_started)
            try:
                row_module = import_module(f"tests.bench.{ROWS[name]}")
                left = getattr(row_module, "SECONDS", left)
                sandbox = getattr(row_module, "SANDBOX", "modelops.sandbox")
                async with (
                    asyncio.timeout(left),
                    environment_for(name, cluster, Path(folder), sandbox_module=sandbox) as env,
                ):
                    rows += await row_module.measure(env)
            except Exception as error:  # noqa: BLE001 - the table has the error, and the other rows go on
                if not isinstance(error, TimeoutError) or str(error):
                    traceback.print_exc()
                problem = f"{type(error).__name__} {error}".strip().splitlines()[0][:90]
                rows.append(Row(name=name, measured=f"not measured: {problem}", limit_missed=True))
            print(f"{name}: {time.monotonic() - row_started:.0f} s", file=sys.stderr, flush=True)
    return rows


def main() -> int:
    """Prints the table. Returns 0 even if a limit is missed, and 2 for an unknown row."""
    logging.basicConfig(level=logging.ERROR)
    os.environ.update(LOOPBACK)
    names = sys.argv[1:] or [name for name in ROWS if name not in ONLY_BY_NAME]
    unknown = set(names) - set(ROWS)
    if unknown:
        print(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}", file=sys.stderr)
        return 2
    started = time.monotonic()
    rows = asyncio.run(measure_rows(names))
    print(f"\n{render_table(rows)}\n")
    missed = sum(row.limit_missed is True for row in rows)
    load = os.getloadavg()[0]
    print(
        f"{os.cpu_count()} cores, load {load:.1f} at the end; {time.monotonic() - started:.0f} s in all; "
        + (f"{missed} over the limit" if missed else "every limit is kept")
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
