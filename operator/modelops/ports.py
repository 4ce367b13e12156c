"""What the engine needs from the world, as Protocols; `adapters` has one package per world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from modelops.api.v1alpha1.cluster_hardware import KubernetesBackend, TrainJobBackend


class Conflict(Exception):
    """A definite 409: nothing was written. Observe and decide again."""


class Missing(Exception):
    """A definite 404: the object that was to be written is gone."""


class Uncertain(Exception):
    """The answer was lost: it may or may not have been carried out."""


class Unavailable(Exception):
    """The service did not carry it out and may later; `retry_after` in seconds where it said so."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Refused(Exception):
    """The service said no, and would again; the message has its words, without secrets."""


class NotLeader(Exception):
    """The lease is not ours any more: nothing may be written."""


class Clock(Protocol):
    def now(self) -> datetime:
        """Wall time in UTC."""

    def monotonic(self) -> float:
        """Seconds that never go backwards."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A kind of object, as the API server's paths name it."""

    group: str
    version: str
    plural: str
    kind: str


Json = dict[str, Any]


class Kube(Protocol):
    """The Kubernetes API. Every write is conditional.

    Errors are Conflict, Missing, Refused, Unavailable, Uncertain, NotLeader.
    """

    async def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """A live read; None where there is none."""

    async def list(
        self, resource: Resource, *, namespace: str | None = None, label_selector: str | None = None
    ) -> tuple[list[Json], str]:
        """Items and the list's resourceVersion."""

    async def create(self, resource: Resource, body: Json) -> Json:
        """Raises Conflict where the name exists."""

    async def replace_status(self, resource: Resource, body: Json) -> Json:
        """PUT …/status; `body` carries metadata.resourceVersion."""

    async def patch(self, resource: Resource, namespace: str, name: str, merge: Json) -> Json:
        """Merge patch; `merge` must carry metadata.resourceVersion."""

    async def delete(
        self, resource: Resource, namespace: str, name: str, *, resource_version: str | None = None
    ) -> None:
        """Deletes; a missing object is no error."""

    async def event(self, regarding: Json, *, reason: str, message: str, warning: bool = False) -> None:
        """An Event, best effort: never raises."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Tokens of one agent; never shown."""

    hugging_face: str = field(repr=False, default="")
    langsmith: str = field(repr=False, default="")
    open_router: str = field(repr=False, default="")
    borrowed: bool = False
    """Whether they are the installation's own, in the place of an agent's: they end what bills, and start nothing."""


@dataclass(frozen=True, kw_only=True)
class Trainer:
    """What a training job runs. `environment` brings the trainer itself into the image."""

    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What a job in this cluster needs beyond a job elsewhere: how it runs, whose it is, and where the token lies."""

    backend: KubernetesBackend | TrainJobBackend
    run_name: str
    run_uid: str
    token_secret: str
    """Name of the Secret, in the run's namespace."""
    token_key: str
    usd_micro_per_hour: int
    """Of all of it; kept with the job, so that it can be settled where the run is gone."""


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """A paid job as it is submitted. `secrets` are never shown."""

    namespace: str
    """The account, which says the service, too: see `domain.training.account`."""
    label: str
    flavor: str
    timeout_seconds: int
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    secrets: Mapping[str, str] = field(repr=False)
    placement: Placement | None = None
    """Only in this cluster, where the token is read from the Secret and `secrets` go nowhere."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as the service shows it."""

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
    """Of its program, where the service tells it."""
    usd_micro_per_hour: int | None = None
    """What it was submitted for, where the service keeps that."""

    @property
    def ended(self) -> bool:
        """Whether it never runs again; unknown stages count as not ended."""
        return self.stage in {"COMPLETED", "CANCELED", "ERROR", "DELETED"}


@dataclass(frozen=True, kw_only=True)
class Flavor:
    """Hardware and its price. `devices`: how many accelerators."""

    name: str
    usd_micro_per_hour: int
    accelerator: str = ""
    devices: int = 0


@dataclass(frozen=True, kw_only=True)
class AttemptClaim:
    """What stands in `claims/<attempt>`: the job that may train, or a closed attempt."""

    job: str = ""
    closed: bool = False


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """A model repository on the Hub."""

    repo: str
    revision: str
    parameters: int | None = None
    files: tuple[str, ...] = ()


class Jobs(Protocol):
    """Paid jobs (the mission's hf_create_training_job, hf_get_job_status)."""

    async def submit(self, token: str, request: JobRequest) -> Job:
        """Raises Refused (nothing was created), Uncertain (it may have been), Unavailable (it was not)."""

    async def list_labelled(self, token: str, namespace: str, label: str) -> tuple[Job, ...]:
        """All jobs, ended ones included, that carry exactly this attempt label."""

    async def list_active(self, token: str, namespace: str) -> tuple[Job, ...]:
        """All jobs of ours that have not ended, in one listing (paged by the service)."""

    async def inspect(self, token: str, namespace: str, job_id: str) -> Job | None:
        """One job; None where the service does not know it."""

    async def cancel(self, token: str, namespace: str, job_id: str) -> None:
        """Stops a job; one that ended already is no error."""

    async def release(self, token: str, namespace: str, job_id: str) -> None:
        """It is booked: what kept a cancelled job visible until then lets go. No error where nothing did."""

    async def tail(self, token: str, namespace: str, job_id: str, lines: int) -> tuple[str, ...]:
        """The last lines of its log."""

    async def flavors(self, token: str) -> tuple[Flavor, ...]:
        """Hardware with prices."""


class Hub(Protocol):
    """Repositories (the mission's hf_upload_dataset, hf_get_model_info)."""

    async def model(self, token: str, repo: str, revision: str | None = None) -> ModelInfo | None:
        """None where it does not exist or may not be read."""

    async def ensure_model_repo(self, token: str, repo: str) -> None:
        """Creates the private repository; an existing one is no error."""

    async def attempt_claim(self, token: str, repo: str, attempt: int) -> AttemptClaim | None:
        """What stands in `claims/<attempt>` at the head."""

    async def close_attempt(self, token: str, repo: str, attempt: int) -> AttemptClaim:
        """Commits `closed` unless something stands there already; returns what stands in the end."""

    async def read_json(self, token: str, repo: str, revision: str, path: str) -> Json | None:
        """A JSON file of a model repository; None where it is missing."""

    async def read_text(self, token: str, repo: str, revision: str, path: str) -> str | None:
        """A small text file of a model repository; None where it is missing."""


@dataclass(frozen=True, kw_only=True)
class EndpointRequest:
    """An Inference Endpoint as it is created."""

    name: str
    repo: str
    revision: str
    vendor: str
    region: str
    accelerator: str
    instance_type: str
    instance_size: str
    min_replica: int
    max_replica: int


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An Inference Endpoint as the service shows it; `url` is the OpenAI-compatible base, `…/v1`."""

    name: str
    state: str
    url: str
    repo: str
    revision: str
    message: str = ""


class Endpoints(Protocol):
    """Inference Endpoints (the mission's hf_create_inference_endpoint)."""

    async def list(self, token: str, namespace: str) -> tuple[Endpoint, ...]: ...

    async def create(self, token: str, namespace: str, request: EndpointRequest) -> Endpoint:
        """An existing one of that name is returned as it is. Raises Refused, Unavailable, Uncertain."""

    async def delete(self, token: str, namespace: str, name: str) -> None:
        """A missing one is no error."""

    async def usd_micro_per_hour(self, token: str, namespace: str, request: EndpointRequest) -> int | None:
        """Price of one replica; None where the service lists none."""

    async def answers(self, token: str, url: str) -> bool:
        """Whether the served model answers at `<url>/models`."""


@dataclass(frozen=True, kw_only=True)
class ProgramState:
    """A program of our own (dataset, evaluation): absent, running, or finished with a result."""

    running: bool = False
    progress: Json = field(default_factory=dict)
    result: Json | None = None


class Programs(Protocol):
    """Programs of our own, run as local processes that outlive the operator and resume."""

    async def observe(self, name: str) -> ProgramState | None:
        """None where it was never started."""

    async def start(self, name: str, module: str, given: Json, environment: Mapping[str, str]) -> None:
        """Starts it, or starts it again where it died: it resumes in its folder."""

    async def retry(self, name: str) -> None:
        """Forgets a result that was marked transient, so that start() runs it again; its journal stays."""

    async def stop(self, name: str) -> None:
        """Ends it and removes its folder."""


@dataclass(frozen=True, kw_only=True)
class Track:
    """Counters of one track since the rollout began (or the process), summed over processes, gone ones too."""

    requests: int = 0
    errors: int = 0
    fallbacks: int = 0
    p50_ms: int = 0
    p95_ms: int = 0
    tokens: int = 0
    cost_micro_usd: int = 0


@dataclass(frozen=True, kw_only=True)
class AgentReports:
    """What the agent's processes say at this moment."""

    expected: int
    heard: int
    in_sync: int
    """Processes that reported the asked generation within 15 s."""
    canary_reachable: int
    canary_errors: tuple[str, ...] = ()
    stable: Track = field(default_factory=Track)
    canary: Track = field(default_factory=Track)
    oldest_seconds: float = 0.0
    """Age of the oldest report that counts."""
    newest_seconds: float = 0.0
    """Age of the newest report."""
    models_in_use: tuple[str, ...] = ()


class Reports(Protocol):
    """The agents' reports, kept by the operator."""

    def summary(
        self, namespace: str, agent: str, *, generation: int, salt: str, pods: Sequence[str] | None
    ) -> AgentReports:
        """Summed over processes. `pods`: names of the ready Pods expected; None: whoever was heard."""


class Traces(Protocol):
    """LangSmith traces of every action: best effort, never blocking."""

    def action(
        self,
        action: str,
        *,
        kind: str,
        namespace: str,
        name: str,
        uid: str,
        agent: str,
        outputs: Mapping[str, Any],
    ) -> None: ...
