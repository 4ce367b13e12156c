"""The life of jobs: SCHEDULING, RUNNING, then COMPLETED, ERROR or CANCELED."""

import asyncio
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from secrets import token_hex
from typing import Any

from aiohttp import web

from modelops.sandbox.jobs.logs import JobLog, LogStreams
from modelops.sandbox.jobs.process import JobProcess
from modelops.sandbox.jobs.records import TERMINAL, Job
from modelops.sandbox.jobs.spec import JobSpec
from modelops.sandbox.state import ServiceState, read_json, write_json


class JobService:
    """All jobs of a sandbox. Every change is on disk before anybody is told of it."""

    def __init__(self, state: ServiceState) -> None:
        self._state = state
        self._jobs: dict[str, Job] = {}
        self._logs: dict[str, JobLog] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}
        self._processes: dict[str, JobProcess] = {}
        self._killed: dict[str, str] = {}
        self._released = asyncio.Event()
        self._released.set()
        self.page_size = 100
        self.streams = LogStreams()

    async def start(self) -> None:
        """Reads what is on disk: waiting jobs go on waiting, running ones have lost their machine."""
        for file in self._state.folder.glob("*/job.json"):
            job = Job.from_json(read_json(file))
            self._jobs[job.id] = job
            self._logs[job.id] = JobLog(file.with_name("log.jsonl"), closed=job.stage in TERMINAL)
            if job.stage == "RUNNING":
                shutil.rmtree(file.parent / "container", ignore_errors=True)
                self._finish(job, "ERROR", "node lost")
            elif job.stage == "SCHEDULING":
                self._live(job)

    async def stop(self) -> None:
        """Ends all processes; their jobs are lost with the machine, waiting ones stay as they are."""
        for log in self._logs.values():
            log.close()
        for life in self._lives.values():
            life.cancel()
        await asyncio.gather(*self._lives.values(), return_exceptions=True)

    def create(self, namespace: str, spec: JobSpec) -> Job:
        """Takes a job in. Creating twice makes two jobs, as in the real service."""
        job = Job(
            id=token_hex(12),
            namespace=namespace,
            command=spec.command,
            arguments=spec.arguments,
            environment=spec.environment,
            secret_names=sorted(spec.secrets),
            flavor=spec.flavor,
            timeout_seconds=spec.timeoutSeconds,
            attempts=spec.attempts,
            labels=spec.labels,
            docker_image=spec.dockerImage,
            space_id=spec.spaceId,
            created=time.time(),
        )
        self._state.write(f"{job.id}/secrets.json", spec.secrets, mode=0o600)
        self._logs[job.id] = JobLog(self._state.folder / job.id / "log.jsonl")
        self._keep(job)
        self._live(job)
        return job

    def find(self, namespace: str, job_id: str) -> Job | None:
        """The job of that id, or None."""
        job = self._jobs.get(job_id)
        return job if job is not None and job.namespace == namespace else None

    def listed(self, namespace: str, *, stages: set[str], labels: Mapping[str, str]) -> list[Job]:
        """Jobs in any of the stages (none given: all) that carry all labels, newest first."""
        found = [
            job
            for job in self._jobs.values()
            if job.namespace == namespace
            and (not stages or job.stage in stages)
            and all(job.labels.get(key) == value for key, value in labels.items())
        ]
        return sorted(found, key=lambda job: (job.created, job.id), reverse=True)

    def relabel(self, job: Job, labels: dict[str, str]) -> Job:
        """Replaces all labels."""
        return self._keep(replace(self._jobs[job.id], labels=labels))

    def cancel(self, job: Job) -> Job:
        """Ends a job as CANCELED; one that has ended stays as it is."""
        if job.stage not in TERMINAL:
            self._finish(job, "CANCELED", None)
            if job.id in self._processes:
                self._processes[job.id].kill()
            else:
                self._lives[job.id].cancel()
        return self._jobs[job.id]

    def kill(self, job_id: str, message: str) -> bool:
        """Kills the process of a running job from outside, as a lost node or the OOM killer does."""
        process = self._processes.get(job_id)
        if process is None:
            return False
        self._killed[job_id] = message
        process.kill()
        return True

    def hold(self, *, held: bool) -> None:
        """Keeps jobs in SCHEDULING, or lets them start."""
        if held:
            self._released.clear()
        else:
            self._released.set()

    def log(self, job: Job) -> JobLog:
        """What the job has said."""
        return self._logs[job.id]

    def billing(self) -> list[dict[str, Any]]:
        """What each job costs, oldest first."""
        now = time.time()
        return [job.bill(now) for job in sorted(self._jobs.values(), key=lambda job: job.created)]

    def _live(self, job: Job) -> None:
        life = asyncio.create_task(self._run(job.id))
        self._lives[job.id] = life
        life.add_done_callback(lambda _: self._lives.pop(job.id, None))

    async def _run(self, job_id: str) -> None:
        waited = time.time() - self._jobs[job_id].created
        await asyncio.sleep(max(0.0, self._state.profile.scheduling - waited))
        await self._released.wait()
        for _ in range(self._jobs[job_id].attempts):
            stage, message = await self._attempt(job_id)
            if self._jobs[job_id].stage in TERMINAL:
                return
            if stage == "COMPLETED" or message == _TIMED_OUT:
                break
        self._finish(self._jobs[job_id], stage, message)

    async def _attempt(self, job_id: str) -> tuple[Any, str | None]:
        folder = self._state.folder / job_id
        secrets: dict[str, str] = read_json(folder / "secrets.json", {})
        job = self._jobs[job_id]
        job = self._keep(replace(job, stage="RUNNING", started=job.started or time.time()))
        process = await JobProcess.begin(
            job, secrets=secrets, service=self._environment(), folder=folder / "container", log=self.log(job)
        )
        self._processes[job_id] = process
        waiting = asyncio.create_task(process.wait())
        try:
            done, _ = await asyncio.wait([waiting], timeout=job.timeout_seconds)
            if not done:
                process.kill()
            code = await waiting
        except asyncio.CancelledError:
            process.kill()
            await waiting
            self._finish(self._jobs[job_id], "ERROR", "node lost")
            raise
        finally:
            self._processes.pop(job_id, None)
        if not done:
            return "ERROR", _TIMED_OUT
        killed = self._killed.pop(job_id, None)
        if killed is not None:
            return "ERROR", killed
        if code == 0:
            return "COMPLETED", None
        return "ERROR", f"Job failed with exit code: {code if code > 0 else 128 - code}"

    def _finish(self, job: Job, stage: Any, message: str | None) -> None:
        if self._jobs[job.id].stage in TERMINAL:
            return
        self._keep(replace(self._jobs[job.id], stage=stage, message=message, finished=time.time()))
        (self._state.folder / job.id / "secrets.json").unlink(missing_ok=True)
        self._logs[job.id].close()

    def _keep(self, job: Job) -> Job:
        write_json(self._state.folder / job.id / "job.json", job.stored(), mode=0o600)
        self._jobs[job.id] = job
        return job

    def _environment(self) -> dict[str, str]:
        return {
            "MODELOPS_SANDBOX": "1",
            "HF_ENDPOINT": self._state.urls["hub"],
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }


_TIMED_OUT = "Job timed out"

JOBS: web.AppKey[JobService] = web.AppKey("jobs", JobService)
