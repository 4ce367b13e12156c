"""What was really done and paid: from the sandbox's own books, not from the operator's."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from modelops.sandbox.client import SandboxInfo


@dataclass(frozen=True)
class Bill:
    """Jobs that the service took for one run, and what they cost in US dollars."""

    jobs: int
    paid: Decimal


def bill_of(sandbox: SandboxInfo, *, run_uid: str) -> Bill:
    """Finds the jobs by the run's uid in their label."""
    jobs = [
        job for job in sandbox.job_billing() if run_uid in str((job["labels"] or {}).get("modelops-attempt"))
    ]
    return Bill(jobs=len(jobs), paid=Decimal(sum(job["costMicroUSD"] for job in jobs)) / 1_000_000)


def endpoints_created(sandbox: SandboxInfo) -> int:
    """How many Inference Endpoints were ever accepted."""
    calls = sandbox.requests(service="endpoints", method="POST", path_regex=r"^/v2/endpoint/[^/]+$")
    return sum(call["status"] == 202 for call in calls)


def calls_to(sandbox: SandboxInfo, endpoint: str) -> int:
    """How many chat completions an endpoint was ever asked for, by anybody."""
    path = rf"^/e/{endpoint}/v1/chat/completions"
    return len(sandbox.requests(service="models", method="POST", path_regex=path))
