"""Paid training jobs, on Hugging Face or in this cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from modelops.api.v1alpha1.cluster_hardware import KubernetesBackend, TrainJobBackend


@dataclass(frozen=True, kw_only=True)
class Trainer:
    """The image and command of a training job. `environment` brings the trainer's code into the image."""

    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class ClusterJobSettings:
    """Settings that only a job in this cluster needs: backend, owner and the Secret with the token."""

    backend: KubernetesBackend | TrainJobBackend
    run_name: str
    run_uid: str
    token_secret: str
    """Name of the Secret, in the run's namespace."""
    token_key: str
    usd_micro_per_hour: int
    """Price of the whole job. It is kept with the job, so that the cost can be booked after the run was deleted."""


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """A paid job to submit. `secrets` never appear in logs or messages."""

    namespace: str
    """The account. It also selects the service: see `domain.training.account`."""
    label: str
    flavor: str
    timeout_seconds: int
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    secrets: Mapping[str, str] = field(repr=False)
    cluster_settings: ClusterJobSettings | None = None
    """Only for a job in this cluster, which reads the token from the Secret; `secrets` are not used there."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A paid job as the service reports it."""

    id: str
    label: str
    stage: str
    message: str = ""
    url: str = ""
    flavor: str = ""
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    running_seconds: int = 0
    exit_code: int | None = None
    """Exit code of its program; None where the service does not report it."""
    usd_micro_per_hour: int | None = None
    """Price at its submission; None where the service does not keep it."""

    @property
    def ended(self) -> bool:
        """Whether it will never run again. A job with an unknown stage has not ended."""
        return self.stage in {"COMPLETED", "CANCELED", "ERROR", "DELETED"}


@dataclass(frozen=True, kw_only=True)
class Flavor:
    """Hardware and its price. `devices` is the number of accelerators, on all `machines` together."""

    name: str
    usd_micro_per_hour: int
    accelerator: str = ""
    devices: int = 0
    machines: int = 1
    machine_gigabytes: float = 0.0
    """Memory of a machine, not of its devices; 0 where it is not known."""
    disk_gigabytes: float = 0.0
    """Its disk; 0 where the service does not say it."""


class Jobs(Protocol):
    """Paid jobs (hf_create_training_job, hf_get_job_status)."""

    async def submit(self, token: str, request: JobRequest) -> Job:
        """Submits a job.

        Raises:
            Refused, Unavailable: no job was created.
            Uncertain: the job may have been created.
        """

    async def list_labelled(self, token: str, namespace: str, label: str) -> tuple[Job, ...]:
        """All jobs with exactly this attempt label, ended jobs included."""

    async def list_active(self, token: str, namespace: str) -> tuple[Job, ...]:
        """All jobs of the operator that have not ended, in one listing (paged by the service)."""

    async def inspect(self, token: str, namespace: str, job_id: str) -> Job | None:
        """One job; None where the service does not know it."""

    async def cancel(self, token: str, namespace: str, job_id: str) -> None:
        """Stops a job. A job that has already ended is no error."""

    async def release(self, token: str, namespace: str, job_id: str) -> None:
        """Gives up what is kept of a cluster job until its cost is booked: its object, or GPUs that only a mesh holds.

        A job of which nothing is kept is no error.
        """

    async def tail(self, token: str, namespace: str, job_id: str, lines: int) -> tuple[str, ...]:
        """The last lines of the job's log."""

    async def end_of_log(self, token: str, namespace: str, job_id: str, lines: int) -> tuple[str, ...]:
        """The last lines of the log of a job that has ended, read with more patience than `tail`."""

    async def flavors(self, token: str) -> tuple[Flavor, ...]:
        """All hardware with its prices."""
