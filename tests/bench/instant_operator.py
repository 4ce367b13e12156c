"""`python -m tests.bench.instant_operator`: the whole operator, but its programs finish as soon as they are started.

A dataset program needs a second of a core, so a hundred runs would measure the program and not the operator.
MODELOPS_BENCH_DATASET is `<repo>@<revision>` of a dataset on the Hub that jobs can train on.
MODELOPS_BENCH_PROFILE is a file for cProfile's figures. MODELOPS_BENCH_LAG is a file for the delays of the event loop:
a line of JSON each second, `[unix time, [seconds, ...]]`.
"""

from __future__ import annotations

import asyncio
import cProfile
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

from modelops.ports import Json, ProgramState
from modelops.runtime import wiring
from modelops.runtime.__main__ import main

PROBE_SECONDS = 0.01


class InstantPrograms:
    """`ports.Programs` in which every program succeeds at once."""

    def __init__(self, _state_dir: Path, *, on_ended: Callable[[str], None] | None = None, **_: Any) -> None:
        self._ended = on_ended or (lambda _: None)
        self._results: dict[str, Json] = {}
        if os.environ.get("MODELOPS_BENCH_LAG"):
            self._delay_task = asyncio.get_running_loop().create_task(
                _record_loop_delays(Path(os.environ["MODELOPS_BENCH_LAG"]))
            )

    async def observe(self, name: str) -> ProgramState | None:
        """None before `start`, then the result."""
        result = self._results.get(name)
        return None if result is None else ProgramState(result=result)

    async def start(
        self, name: str, module: str, program_input: Json, environment: Mapping[str, str], **more: Any
    ) -> None:
        """Stores the result and reports the end of the program."""
        self._results[name] = dataset_result() if module == "modelops.datasets" else evaluation_result()
        asyncio.get_running_loop().call_soon(self._ended, name)

    async def retry(self, name: str) -> None:
        """Does nothing: no program fails."""

    async def stop(self, name: str) -> None:
        """Removes the result."""
        self._results.pop(name, None)


async def _record_loop_delays(file: Path) -> None:
    """Writes by how much each of a series of short sleeps was late: the delay of the event loop."""
    loop = asyncio.get_running_loop()
    with file.open("w", buffering=1) as out:
        while True:
            late = []
            for _ in range(round(1 / PROBE_SECONDS)):
                before = loop.time()
                await asyncio.sleep(PROBE_SECONDS)
                late.append(round(max(0.0, loop.time() - before - PROBE_SECONDS), 5))
            out.write(json.dumps([time.time(), late]) + "\n")


def dataset_result() -> Json:
    """The dataset program's result for the dataset that the bench has uploaded to the Hub."""
    repo, _, revision = os.environ.get("MODELOPS_BENCH_DATASET", "").partition("@")
    return {
        "ok": True,
        "dataset_id": "00000000-0000-0000-0000-000000000001",
        "as_of": "2026-01-01T00:00:00Z",
        "rows": 60,
        "train": 54,
        "test": 6,
        "tokens": 6000,
        "digest": "sha256:" + "0" * 64,
        "repo": repo or "appsmithery/none",
        "revision": revision or "0" * 40,
        "findings": [],
    }


def evaluation_result() -> Json:
    """The evaluation program's result for a candidate that passes."""
    arm = {"success": "0.5", "latency_p50_ms": 20, "latency_p95_ms": 40, "cost_per_1k": "0.01", "errors": 0}
    return {
        "ok": True,
        "n": 100,
        "baseline": {**arm, "success": "0.2"},
        "candidate": arm,
        "difference_points": "30.0",
        "interval": ["20.0", "40.0"],
        "margin_points": "5",
        "verdict": "pass",
        "recommendation": "deploy",
        "explain": "the bench says so",
        "as_of": "2026-01-01T00:00:00Z",
        "recorded": True,
        "findings": [],
    }


def run_operator() -> int:
    """Runs the operator; returns its exit code."""
    with patch.object(wiring, "LocalPrograms", InstantPrograms):
        target = os.environ.get("MODELOPS_BENCH_PROFILE")
        if not target:
            return main()
        profile = cProfile.Profile()
        try:
            return profile.runcall(main)
        finally:
            profile.dump_stats(target)


if __name__ == "__main__":
    sys.exit(run_operator())
