"""The API server, paid jobs and the Hub in memory, with only the guarantees of the real ones."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from tests.unit.training.objects import NOW
from tests.unit.training.stepping import Request

from modelops.domain.job_report import JobReport
from modelops.engine.watched_job import JobObservation, WatchedJob
from modelops.ports import (
    AttemptClaim,
    Conflict,
    Flavor,
    Job,
    JobRequest,
    Json,
    Missing,
    ModelInfo,
    ProgramState,
    Resource,
)

Name = tuple[str, str]
"""Kind and name."""
QUEUED, TRAINING, DONE, FAILED, CANCELLED, EXIT_75 = "queued", "training", "done", "failed", "cancelled", "75"
STAGES = {QUEUED: "SCHEDULING", TRAINING: "RUNNING", DONE: "COMPLETED", CANCELLED: "CANCELED"}


@dataclass
class Time:
    """Seconds since the simulation began."""

    seconds: float = 0.0
    stepped: bool = True
    """Whether requests wait until a test carries them out."""

    def request(self, name: str, land: Callable[[], Any]) -> Request:
        return Request(name=name, land=land, sent_at=self.seconds, at_once=not self.stepped)

    def now(self) -> Any:
        return NOW + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class ApiServer:
    """Objects with resourceVersions; every version is kept, since caches may show an old one."""

    time: Time
    versions: dict[Name, list[Json]] = field(default_factory=dict)
    gone: set[Name] = field(default_factory=set)
    revision: int = 100
    writes: list[str] = field(default_factory=list)

    def seed(self, item: Json) -> None:
        name = (item["kind"], item["metadata"]["name"])
        self.versions[name] = []
        self.store(name, copy.deepcopy(item))

    def live(self, name: Name) -> Json | None:
        return None if name in self.gone or name not in self.versions else self.versions[name][-1]

    def store(self, name: Name, item: Json) -> Json:
        self.revision += 1
        item["metadata"]["resourceVersion"] = str(self.revision)
        self.versions[name].append(item)
        meta = item["metadata"]
        if meta.get("deletionTimestamp") and not meta.get("finalizers"):
            self.gone.add(name)
        return item

    def change(self, name: Name, resource_version: str, edit: Callable[[Json], None]) -> Json:
        """A conditional write; one that changes nothing makes no new version, as in etcd's registry."""
        current = self.live(name)
        if current is None:
            raise Missing(f"{name} is gone")
        if current["metadata"]["resourceVersion"] != resource_version:
            raise Conflict(f"{name} is at {current['metadata']['resourceVersion']}, not {resource_version}")
        changed = copy.deepcopy(current)
        edit(changed)
        return current if changed == current else self.store(name, changed)

    def user_edits(self, name: Name, edit: Callable[[Json], None]) -> None:
        current = self.live(name)
        if current is not None:
            self.change(name, current["metadata"]["resourceVersion"], edit)


class KubeClient:
    """`ports.Kube` of one process: reads are answered at once, writes wait to be carried out."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self.events: list[str] = []

    async def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        return copy.deepcopy(self._server.live((resource.kind, name)))

    async def list(self, resource: Resource, **_: Any) -> tuple[list[Json], str]:
        found = (self._server.live(name) for name in self._server.versions if name[0] == resource.kind)
        return [copy.deepcopy(item) for item in found if item is not None], str(self._server.revision)

    async def create(self, resource: Resource, body: Json) -> Json:
        raise NotImplementedError

    async def replace_status(self, resource: Resource, body: Json) -> Json:
        name, status = (resource.kind, body["metadata"]["name"]), copy.deepcopy(body["status"])

        def land() -> Json:
            answer = self._server.change(
                name, body["metadata"]["resourceVersion"], lambda item: item.update(status=status)
            )
            self._server.writes.append(f"status {status.get('phase')}/{status.get('reason')}")
            return copy.deepcopy(answer)

        return await self._sent("status", land)

    async def patch(self, resource: Resource, namespace: str, name: str, merge: Json) -> Json:
        version, data = merge["metadata"]["resourceVersion"], merge.get("data")
        finalizers = merge["metadata"].get("finalizers")

        def edit(item: Json) -> None:
            if finalizers is not None:
                item["metadata"]["finalizers"] = list(finalizers)
            if data is not None:
                item["data"] = {**item.get("data", {}), **data}

        def land() -> Json:
            answer = self._server.change((resource.kind, name), version, edit)
            self._server.writes.append("record" if data is not None else "finalizers")
            return copy.deepcopy(answer)

        return await self._sent("record" if data is not None else "finalizers", land)

    async def delete(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError

    async def event(self, regarding: Json, *, reason: str, message: str, warning: bool = False) -> None:
        self.events.append(f"{reason}: {message}")

    async def _sent(self, name: str, land: Callable[[], Any]) -> Any:
        return await self._server.time.request(name, land)


@dataclass
class PaidJob:
    id: str
    label: str
    namespace: str
    created_at: float
    state: str = QUEUED
    listed: bool = False
    trained: bool = False
    claims: bool = True

    @property
    def attempt(self) -> int:
        """The attempt's number in the job's label."""
        return int(self.label.rpartition("-")[2])

    @property
    def running(self) -> bool:
        return self.state in (QUEUED, TRAINING)


class JobService:
    """`ports.Jobs` and the poller. A job is found by its id at once, by its label when it is listed."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.jobs: list[PaidJob] = []
        self.usd_micro_per_hour = 1_500_000
        self.requests: list[JobRequest] = []
        self.nonces: list[str] = []
        """The nonces of the reports that were asked for."""
        self.tokens: list[str] = []
        """The tokens with which jobs were submitted and cancelled."""
        self.report: JobReport | None = None
        """The report of every job."""

    def create(self, request: JobRequest) -> Job:
        job = PaidJob(
            id=f"job{len(self.jobs) + 1}",
            label=request.label,
            namespace=request.namespace,
            created_at=self.time.seconds,
        )
        self.jobs.append(job)
        self.requests.append(request)
        return self.shown(job)

    def shown(self, job: PaidJob) -> Job:
        ran = job.state in (TRAINING, DONE, EXIT_75) or job.trained
        return Job(
            id=job.id,
            label=job.label,
            stage=STAGES.get(job.state, "ERROR"),
            created_at=NOW + timedelta(seconds=job.created_at),
            running_seconds=90 if ran else 0,
        )

    async def submit(self, token: str, request: JobRequest) -> Job:
        assert token, "a job without a token"
        self.tokens.append(token)
        answer = await self.time.request("post", lambda: self.create(request))
        assert isinstance(answer, Job)
        return answer

    async def list_labelled(self, token: str, namespace: str, label: str) -> tuple[Job, ...]:
        known = (job for job in self.jobs if job.listed and job.namespace == namespace)
        return tuple(self.shown(job) for job in known if job.label == label)

    async def cancel(self, token: str, namespace: str, job_id: str) -> None:
        self.tokens.append(token)

        def land() -> None:
            for job in self.jobs:
                if job.id == job_id and job.namespace == namespace and job.running:
                    job.state = CANCELLED

        await self.time.request("cancel", land)

    async def release(self, token: str, namespace: str, job_id: str) -> None: ...

    async def flavors(self, token: str) -> tuple[Flavor, ...]:
        price = self.usd_micro_per_hour
        return (Flavor(name="a10g-large", usd_micro_per_hour=price, accelerator="1x A10G 24 GB"),)

    def raise_price(self) -> None:
        """Raises the price from now on; the operator may have the old one in its cache."""
        self.usd_micro_per_hour += 300_000

    def watch(self, watch: WatchedJob, *, known: Job | None = None) -> JobObservation:
        self.nonces.append(watch.nonce)
        known = (job for job in self.jobs if job.namespace == watch.namespace)
        found = next((self.shown(job) for job in known if job.id == watch.job_id), None)
        is_final = found is not None and found.ended
        return JobObservation(
            job=found, not_found=found is None, report=self.report, report_is_final=is_final
        )

    def poll_soon(self) -> None: ...

    def forget(self, key: object) -> None: ...


@dataclass
class Hub:
    """`ports.Hub`: claims by attempt, and the published model. A commit succeeds only on the current head."""

    time: Time
    claims: dict[int, AttemptClaim] = field(default_factory=dict)
    published: Json | None = None
    claim_reads: int = 0
    """How often a claim was read."""

    async def model(self, token: str, repo: str, revision: str | None = None) -> ModelInfo | None:
        return ModelInfo(repo=repo, revision="r" * 40, parameters=7_000_000_000)

    async def ensure_model_repo(self, token: str, repo: str) -> None: ...

    async def attempt_claim(self, token: str, repo: str, attempt: int) -> AttemptClaim | None:
        self.claim_reads += 1
        return self.claims.get(attempt)

    async def close_attempt(self, token: str, repo: str, attempt: int) -> AttemptClaim:
        def land() -> AttemptClaim:
            return self.claims.setdefault(attempt, AttemptClaim(closed=True))

        answer = await self.time.request("close", land)
        assert isinstance(answer, AttemptClaim)
        return answer

    async def read_json(self, token: str, repo: str, revision: str, path: str) -> Json | None:
        return copy.deepcopy(self.published)

    def starts(self, job: PaidJob) -> None:
        """The first step of `trainers/job.py`: the job claims the attempt, or ends with exit code 75."""
        if not job.claims or self.claims.setdefault(job.attempt, AttemptClaim(job=job.id)).job == job.id:
            job.state, job.trained = TRAINING, True
        else:
            job.state = EXIT_75

    def finishes(self, job: PaidJob, request: JobRequest) -> None:
        job.state = DONE
        self.published = json.loads(request.environment["MODELOPS_RUN"])


@dataclass
class Programs:
    """`ports.Programs`: the dataset program, which ends as soon as it is started."""

    result: Json
    started: list[Json] = field(default_factory=list)
    state: ProgramState | None = None

    async def observe(self, name: str) -> ProgramState | None:
        return self.state

    async def start(self, name: str, module: str, program_input: Json, environment: Any, **more: Any) -> None:
        self.started.append(program_input)
        self.state = replace(ProgramState(), result=self.result)

    async def retry(self, name: str) -> None:
        self.state = None

    async def stop(self, name: str) -> None:
        self.state = None
