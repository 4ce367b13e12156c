"""What was really created and billed: from the sandbox's own records, independent of the operator's."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from modelops.sandbox.client import SandboxInfo


@dataclass(frozen=True)
class JobBilling:
    """The number of jobs that the service accepted for one run, and their cost in US dollars."""

    jobs: int
    cost: Decimal


def job_billing(sandbox: SandboxInfo, *, run_uid: str) -> JobBilling:
    """Return the billing of the jobs whose `modelops-attempt` label contains the run's uid."""
    jobs = [
        job for job in sandbox.job_billing() if run_uid in str((job["labels"] or {}).get("modelops-attempt"))
    ]
    return JobBilling(jobs=len(jobs), cost=Decimal(sum(job["costMicroUSD"] for job in jobs)) / 1_000_000)


def count_created_endpoints(sandbox: SandboxInfo) -> int:
    """Return how many Inference Endpoints the sandbox has accepted since its start."""
    calls = sandbox.requests(service="endpoints", method="POST", path_regex=r"^/v2/endpoint/[^/]+$")
    return sum(call["status"] == 202 for call in calls)


def count_chat_completions(sandbox: SandboxInfo, endpoint: str) -> int:
    """Return how many chat completions were requested from an endpoint, by any client."""
    path = rf"^/e/{endpoint}/v1/chat/completions"
    return len(sandbox.requests(service="models", method="POST", path_regex=path))
