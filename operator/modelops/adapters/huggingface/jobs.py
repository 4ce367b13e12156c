"""Paid jobs: `ports.Jobs` on the Jobs API (huggingface_hub/hf_api.py, `run_job` and below)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from modelops.adapters.huggingface.connection import HuggingFaceConnection
from modelops.ports import Flavor, Job, JobRequest, Refused

if TYPE_CHECKING:
    from huggingface_hub import HfApi, JobInfo

LABEL: Final = "modelops-attempt"
ACTIVE_STAGES: Final = ("SCHEDULING", "RUNNING")
TIMEOUT_SECONDS: Final = 30
UNITS_PER_HOUR: Final[Mapping[str, int]] = {"second": 3600, "minute": 60, "hour": 1}


class HuggingFaceJobs:
    """`ports.Jobs`. The label of an attempt is `modelops-attempt`; jobs without it are nobody of ours."""

    def __init__(self, connection: HuggingFaceConnection) -> None:
        self._connection = connection

    async def submit(self, token: str, request: JobRequest) -> Job:
        """The mission's hf_create_training_job. The service knows no idempotency: see protocol, Paid job."""

        def work(api: HfApi) -> Job:
            return _job(
                api.run_job(
                    image=request.image,
                    command=list(request.command),
                    env=dict(request.environment),
                    secrets=dict(request.secrets),
                    flavor=request.flavor,
                    timeout=request.timeout_seconds,
                    labels={LABEL: request.label},
                    namespace=request.namespace,
                )
            )

        if request.timeout_seconds <= 0:
            raise Refused(
                f"job {request.label} has a timeout of {request.timeout_seconds} s; the service would put "
                "its own 30 minutes in its place. Give at least 1 s."
            )
        doing = f"submitting job {request.label} to {request.namespace}"
        return await self._connection.call(work, doing=doing, token=token, writes=True)

    async def list_labelled(self, token: str, namespace: str, label: str) -> tuple[Job, ...]:
        """Oldest first. Filtered again here: how the service filters labels is documented in two ways."""

        def work(api: HfApi) -> tuple[Job, ...]:
            found = api.list_jobs(labels={LABEL: label}, namespace=namespace, timeout=TIMEOUT_SECONDS)
            return _in_order(job for job in map(_job, found) if job.label == label)

        doing = f"listing the jobs of {namespace} labelled {label}"
        return await self._connection.call(work, doing=doing, token=token)

    async def list_active(self, token: str, namespace: str) -> tuple[Job, ...]:
        """Stages that this SDK does not know are not listed: ask for such a job by its id."""

        def work(api: HfApi) -> tuple[Job, ...]:
            found = api.list_jobs(status=list(ACTIVE_STAGES), namespace=namespace, timeout=TIMEOUT_SECONDS)
            return _in_order(job for job in map(_job, found) if job.label and not job.ended)

        return await self._connection.call(work, doing=f"listing the active jobs of {namespace}", token=token)

    async def inspect(self, token: str, namespace: str, job_id: str) -> Job | None:
        """The mission's hf_get_job_status."""

        def work(api: HfApi) -> Job | None:
            return _inspected(api, namespace=namespace, job_id=job_id)

        return await self._connection.call(work, doing=f"reading job {job_id} of {namespace}", token=token)

    async def cancel(self, token: str, namespace: str, job_id: str) -> None:
        """Asks the service to stop it; it is stopped when its stage says so."""

        def work(api: HfApi) -> None:
            from huggingface_hub.errors import HfHubHTTPError, JobNotFoundError

            try:
                api.cancel_job(job_id=job_id, namespace=namespace)
            except JobNotFoundError:
                return
            except HfHubHTTPError as error:
                # What the service says to a job that ended just now is not documented.
                if error.response.status_code in {401, 403}:
                    raise
                job = _inspected(api, namespace=namespace, job_id=job_id)
                if job is not None and not job.ended:
                    raise

        doing = f"cancelling job {job_id} of {namespace}"
        await self._connection.call(work, doing=doing, token=token, writes=True)

    async def release(self, token: str, namespace: str, job_id: str) -> None:
        """The service shows a cancelled job for long enough by itself."""

    async def tail(self, token: str, namespace: str, job_id: str, lines: int) -> tuple[str, ...]:
        """Takes half a second for a job that runs: see `log_tail`."""

        def work(api: HfApi) -> tuple[str, ...]:
            from modelops.adapters.huggingface.log_tail import tail

            return tail(api, namespace=namespace, job_id=job_id, lines=lines)

        doing = f"reading the log of job {job_id} of {namespace}"
        return await self._connection.call(work, doing=doing, token=token)

    async def flavors(self, token: str) -> tuple[Flavor, ...]:
        """Prices as the service lists them; a flavor whose unit is not known is left out."""

        def work(api: HfApi) -> tuple[Flavor, ...]:
            return tuple(
                Flavor(
                    name=item.name,
                    usd_micro_per_hour=item.unit_cost_micro_usd * UNITS_PER_HOUR[item.unit_label],
                    accelerator=_accelerator(item.accelerator),
                    devices=_devices(item.accelerator),
                )
                for item in api.list_jobs_hardware()
                if item.unit_label in UNITS_PER_HOUR
            )

        return await self._connection.call(work, doing="reading the prices of jobs", token=token)


def _inspected(api: HfApi, *, namespace: str, job_id: str) -> Job | None:
    from huggingface_hub.errors import JobNotFoundError

    try:
        return _job(api.inspect_job(job_id=job_id, namespace=namespace))
    except JobNotFoundError:
        return None


def _job(info: JobInfo) -> Job:
    return Job(
        id=info.id,
        label=(info.labels or {}).get(LABEL, ""),
        stage=str(getattr(info.status.stage, "value", info.status.stage)),
        message=info.status.message or "",
        url=info.url,
        flavor=str(getattr(info.flavor, "value", info.flavor) or ""),
        created_at=info.created_at,
        started_at=info.started_at,
        finished_at=info.finished_at,
        running_seconds=math.ceil((info.durations.running_secs if info.durations else None) or 0),
    )


def _in_order(jobs: Iterable[Job]) -> tuple[Job, ...]:
    never = datetime.max.replace(tzinfo=UTC)
    return tuple(sorted(jobs, key=lambda job: (job.created_at or never, job.id)))


def _devices(given: object) -> int:
    quantity = str(getattr(given, "quantity", "") or "")
    return int(quantity) if quantity.isdigit() else 0


def _accelerator(given: object) -> str:
    """`1x A10G 24 GB`; empty for a CPU."""
    if given is None:
        return ""
    quantity, model, memory = (str(getattr(given, name, "") or "") for name in ("quantity", "model", "vram"))
    return " ".join(part for part in (f"{quantity}x" if quantity else "", model, memory) if part)
