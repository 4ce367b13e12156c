"""What was really done and paid, as the sandbox's own books say, not the operator's."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from modelops.sandbox.client import SandboxInfo


@dataclass(frozen=True)
class Bill:
    """`jobs`: accepted submissions of a run. `paid`: what they cost. `endpoints`: accepted creations."""

    jobs: int
    paid: Decimal
    endpoints: int


def bill_of(sandbox: SandboxInfo, *, run_uid: str, endpoint: str) -> Bill:
    """Of one act: jobs by the label of the run, creations of endpoints by their answers in the log of calls."""
    jobs = [
        job
        for job in sandbox.job_billing()
        if run_uid in str((job["labels"] or {}).get("modelops-attempt", ""))
    ]
    created = [
        call
        for call in sandbox.requests(service="endpoints", method="POST", path_regex=r"^/v2/endpoint/[^/]+$")
        if call["status"] == 202
    ]
    return Bill(
        jobs=len(jobs),
        paid=Decimal(sum(job["costMicroUSD"] for job in jobs)) / 1_000_000,
        endpoints=len(created) if endpoint else 0,
    )


def calls_to(sandbox: SandboxInfo, endpoint: str) -> int:
    """How many chat completions an endpoint was ever asked for, by anybody."""
    path = rf"^/e/{endpoint}/v1/chat/completions"
    return len(sandbox.requests(service="models", method="POST", path_regex=path))
