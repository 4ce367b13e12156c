"""`python -m tests.bench.quiet_sandbox`: the sandbox, but its jobs are no processes: they only say that they train.

A thousand processes would be what is measured. Everything else is the sandbox's own: routes, pages, log streams.
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
SAID_BEFORE = tuple(f"Installed package {number}" for number in range(220))
"""As many lines as a log has when training begins: more than the operator asks for."""


async def _talks(service: JobService, job_id: str) -> tuple[Any, str | None]:
    """In the place of a process; a job ends when it is cancelled."""
    job = service._keep(replace(service._jobs[job_id], stage="RUNNING", started=time.time()))
    log, prefix = service.log(job), f"@@modelops:{job.environment['MODELOPS_NONCE']}@@ "

    def say(kind: str, step: int) -> str:
        said = {"v": 1, "kind": kind, "t": time.time(), "step": step, "max_steps": STEPS}
        return prefix + json.dumps(
            {**said, "metrics": {"loss": round(2.0 / (1 + step), 4), "num_tokens": step * 512}}
        )

    log.mark_start()
    log.append(*SAID_BEFORE, say("begin", 0))
    for step in range(1, STEPS):
        await asyncio.sleep(REPORT_SECONDS)
        log.append(f"step {step}", say("log", step))
    return "COMPLETED", None


if __name__ == "__main__":
    with patch.object(JobService, "_attempt", _talks):
        sys.exit(main())
