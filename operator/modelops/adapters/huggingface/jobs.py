"""`ports.Jobs` on the Jobs API of Hugging Face (huggingface_hub/hf_api.py, `run_job` and below)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from modelops.adapters.huggingface.connection import HuggingFaceConnection
from modelops.adapters.huggingface.job_list import ATTEMPT_LABEL, UnreadableJobs, list_operator_jobs
from modelops.ports import Flavor, Job, JobRequest, Refused

if TYPE_CHECKING:
    from huggingface_hub import HfApi, JobInfo

ACTIVE_STAGES: Final = ("SCHEDULING", "RUNNING")
MAX_NAME_CHARACTERS: Final = 100
EXIT_CODE: Final = re.compile(r"exit code:?\s+(\d{1,3})\b", re.IGNORECASE)
"""The exit code in a status message. The service has no field for it; jobs and Spaces of Hugging Face say `Job failed
with exit code: 143` (quoted in OpenHands issue 4595)."""
UNITS_PER_HOUR: Final[Mapping[str, int]] = {"second": 3600, "minute": 60, "hour": 1}


class HuggingFaceJobs:
    """`ports.Jobs`. Every job of the operator has the label `modelops-attempt`; jobs without it are ignored."""

    def __init__(self, connection: HuggingFaceConnection) -> None:
        self._connection = connection
        self._unreadable = UnreadableJobs()

    async def submit(self, token: str, request: JobRequest) -> Job:
        """Creates a job (hf_create_training_job).

        The service has no idempotency key: see docs/designs/003-paid-jobs.md.
        """

        def sdk_call(api: HfApi) -> Job:
            return _job(
                api.run_job(
                    image=request.image,
                    command=list(request.command),
                    env=dict(request.environment),
                    secrets=dict(request.secrets),
                    flavor=request.flavor,
                    timeout=request.timeout_seconds,
                    labels={ATTEMPT_LABEL: request.label},
                    # The SDK would make a name of the image, which may be longer than the service allows.
                    name=request.label[:MAX_NAME_CHARACTERS],
                    namespace=request.namespace,
                )
            )

        if request.timeout_seconds <= 0:
            raise Refused(
                f"job {request.label} has a timeout of {request.timeout_seconds} s, for which the service would "
                "use its default of 30 minutes; set a timeout of at least 1 s"
            )
        doing = f"submitting job {request.label} to {request.namespace}"
        return await self._connection.call(sdk_call, doing=doing, token=token, writes=True)

    async def list_labelled(self, token: str, namespace: str, label: str) -> tuple[Job, ...]:
        """Oldest first. The result is filtered again, because the service documents its label filter in two ways.

        Raises Unavailable where a job cannot be read that has the label, or may have it: it is not known to be absent.
        """

        def sdk_call(api: HfApi) -> tuple[Job, ...]:
            params = [("label", f"{ATTEMPT_LABEL}={label}")]
            found = []
            for listed in list_operator_jobs(api, namespace=namespace, params=params, read=_job):
                if listed.job is None and listed.label in (label, None):
                    raise ValueError(f"job {listed.id} cannot be read")
                if listed.job is not None and listed.label == label:
                    found.append(listed.job)
            return _oldest_first(found)

        doing = f"listing the jobs of {namespace} labelled {label}"
        return await self._connection.call(sdk_call, doing=doing, token=token)

    async def list_active(self, token: str, namespace: str) -> tuple[Job, ...]:
        """Jobs in SCHEDULING and RUNNING. A job in a stage that this SDK does not know is found only by its id.

        A job that cannot be read is left out, so that it hides no other; it is logged once.
        """

        def sdk_call(api: HfApi) -> tuple[Job, ...]:
            params = [("stage", stage) for stage in ACTIVE_STAGES]
            active = []
            for listed in list_operator_jobs(api, namespace=namespace, params=params, read=_job):
                if listed.job is None:
                    self._unreadable.log(listed, namespace=namespace)
                elif not listed.job.ended:
                    active.append(listed.job)
            return _oldest_first(active)

        return await self._connection.call(
            sdk_call, doing=f"listing the active jobs of {namespace}", token=token
        )

    async def inspect(self, token: str, namespace: str, job_id: str) -> Job | None:
        """One job (hf_get_job_status)."""

        def sdk_call(api: HfApi) -> Job | None:
            return _inspect(api, namespace=namespace, job_id=job_id)

        return await self._connection.call(
            sdk_call, doing=f"reading job {job_id} of {namespace}", token=token
        )

    async def cancel(self, token: str, namespace: str, job_id: str) -> None:
        """Asks the service to stop a job. The job has stopped when its stage says so."""

        def sdk_call(api: HfApi) -> None:
            from huggingface_hub.errors import HfHubHTTPError, JobNotFoundError

            try:
                api.cancel_job(job_id=job_id, namespace=namespace)
            except JobNotFoundError:
                return
            except HfHubHTTPError as error:
                # The answer for a job that has just ended is not documented.
                if error.response.status_code in {401, 403}:
                    raise
                job = _inspect(api, namespace=namespace, job_id=job_id)
                if job is not None and not job.ended:
                    raise

        doing = f"cancelling job {job_id} of {namespace}"
        await self._connection.call(sdk_call, doing=doing, token=token, writes=True)

    async def release(self, token: str, namespace: str, job_id: str) -> None:
        """Does nothing: the service keeps a cancelled job readable for long enough."""

    async def tail(self, token: str, namespace: str, job_id: str, lines: int) -> tuple[str, ...]:
        """The last lines of the log. Takes half a second for a running job: see `log_tail`."""

        def sdk_call(api: HfApi) -> tuple[str, ...]:
            from modelops.adapters.huggingface.log_tail import tail

            return tail(api, namespace=namespace, job_id=job_id, lines=lines)

        doing = f"reading the log of job {job_id} of {namespace}"
        return await self._connection.call(sdk_call, doing=doing, token=token)

    async def end_of_log(self, token: str, namespace: str, job_id: str, lines: int) -> tuple[str, ...]:
        """The last lines of the log of a job that has ended, with the SDK's own patience: see `log_tail`."""

        def sdk_call(api: HfApi) -> tuple[str, ...]:
            from modelops.adapters.huggingface.log_tail import AT_THE_END, tail

            return tail(api, namespace=namespace, job_id=job_id, lines=lines, patience=AT_THE_END)

        doing = f"reading the end of the log of job {job_id} of {namespace}"
        return await self._connection.call(sdk_call, doing=doing, token=token)

    async def flavors(self, token: str) -> tuple[Flavor, ...]:
        """The service's price list; a flavor whose price unit is not known is left out."""

        def sdk_call(api: HfApi) -> tuple[Flavor, ...]:
            return tuple(
                Flavor(
                    name=item.name,
                    usd_micro_per_hour=item.unit_cost_micro_usd * UNITS_PER_HOUR[item.unit_label],
                    accelerator=_accelerator(item.accelerator),
                    devices=_devices(item.accelerator),
                    machine_gigabytes=_gigabytes(item.ram),
                    disk_gigabytes=_gigabytes(item.ephemeral_storage),
                )
                for item in api.list_jobs_hardware()
                if item.unit_label in UNITS_PER_HOUR
            )

        return await self._connection.call(sdk_call, doing="reading the prices of jobs", token=token)


def _inspect(api: HfApi, *, namespace: str, job_id: str) -> Job | None:
    from huggingface_hub.errors import JobNotFoundError

    try:
        return _job(api.inspect_job(job_id=job_id, namespace=namespace))
    except JobNotFoundError:
        return None


def _job(info: JobInfo) -> Job:
    return Job(
        id=info.id,
        label=(info.labels or {}).get(ATTEMPT_LABEL, ""),
        stage=str(getattr(info.status.stage, "value", info.status.stage)),
        message=info.status.message or "",
        url=info.url,
        flavor=str(getattr(info.flavor, "value", info.flavor) or ""),
        created_at=info.created_at,
        started_at=info.started_at,
        finished_at=info.finished_at,
        exit_code=int(found[1]) if (found := EXIT_CODE.search(info.status.message or "")) else None,
        running_seconds=math.ceil((info.durations.running_secs if info.durations else None) or 0),
    )


def _oldest_first(jobs: Iterable[Job]) -> tuple[Job, ...]:
    never = datetime.max.replace(tzinfo=UTC)
    return tuple(sorted(jobs, key=lambda job: (job.created_at or never, job.id)))


def _devices(accelerator: object) -> int:
    quantity = str(getattr(accelerator, "quantity", "") or "")
    return int(quantity) if quantity.isdigit() else 0


def _gigabytes(size: object) -> float:
    """`46 GB` as 46.0; 0 where the text has another form."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(GB|TB)", str(size or "").strip())
    return float(found[1]) * (1000.0 if found[2] == "TB" else 1.0) if found else 0.0


def _accelerator(accelerator: object) -> str:
    """`1x A10G 24 GB`; empty for a CPU."""
    if accelerator is None:
        return ""
    quantity, model, memory = (
        str(getattr(accelerator, name, "") or "") for name in ("quantity", "model", "vram")
    )
    return " ".join(part for part in (f"{quantity}x" if quantity else "", model, memory) if part)
