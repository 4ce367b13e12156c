"""`python -m tests.bench.quiet_sandbox`: the sandbox with jobs that are not processes and only write a training log.

A thousand processes would dominate the measurement. Routes, pages and log streams are the sandbox's own.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from modelops.sandbox.__main__ import main
from modelops.sandbox.jobs.service import JobService

REPORT_SECONDS = 5.0
STEPS = 1000
LINES_BEFORE_TRAINING = tuple(f"Installed package {number}" for number in range(220))
"""Log lines before the training starts: more than the operator reads."""


async def _run_without_process(service: JobService, job_id: str) -> tuple[Any, str | None]:
    """Replaces the process of a job: writes its log until the job is cancelled."""
    job = service._save(replace(service._jobs[job_id], stage="RUNNING", started=time.time()))
    log, prefix = service.log(job), f"@@modelops:{job.environment['MODELOPS_NONCE']}@@ "

    def report_line(kind: str, step: int) -> str:
        report = {"v": 1, "kind": kind, "t": time.time(), "step": step, "max_steps": STEPS}
        return prefix + json.dumps(
            {**report, "metrics": {"loss": round(2.0 / (1 + step), 4), "num_tokens": step * 512}}
        )

    log.mark_start()
    log.append(*LINES_BEFORE_TRAINING, report_line("begin", 0))
    for step in range(1, STEPS):
        await asyncio.sleep(REPORT_SECONDS)
        log.append(f"step {step}", report_line("log", step))
    return "COMPLETED", None


if __name__ == "__main__":
    with patch.object(JobService, "_attempt", _run_without_process):
        sys.exit(main())
