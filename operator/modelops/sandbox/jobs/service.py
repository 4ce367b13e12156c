"""The life cycle of jobs: SCHEDULING, RUNNING, then COMPLETED, ERROR or CANCELED."""

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
    """All jobs of a sandbox. Every change is on disk before a client can see it."""

    def __init__(self, state: ServiceState) -> None:
        self._state = state
        self._jobs: dict[str, Job] = {}
        self._logs: dict[str, JobLog] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._processes: dict[str, JobProcess] = {}
        self._kill_messages: dict[str, str] = {}
        self._not_held = asyncio.Event()
        self._not_held.set()
        self.page_size = 100
        self.streams = LogStreams()

    async def start(self) -> None:
        """Read the jobs on disk. Scheduled jobs stay scheduled; jobs that were running end as `node lost`."""
        for file in self._state.folder.glob("*/job.json"):
            job = Job.from_stored(read_json(file))
            self._jobs[job.id] = job
            self._logs[job.id] = JobLog(file.with_name("log.jsonl"), closed=job.stage in TERMINAL)
            if job.stage == "RUNNING":
                shutil.rmtree(file.parent / "container", ignore_errors=True)
                self._finish(job, "ERROR", "node lost")
            elif job.stage == "SCHEDULING":
                self._start_task(job)

    async def stop(self) -> None:
        """Kill all processes. Running jobs end as `node lost`; scheduled jobs stay scheduled."""
        for log in self._logs.values():
            log.close()
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def create(self, namespace: str, spec: JobSpec) -> Job:
        """Create a job. The same call again creates a second job, as in the real service."""
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
        self._save(job)
        self._start_task(job)
        return job

    def find(self, namespace: str, job_id: str) -> Job | None:
        """Return the job of that id in the namespace, or None."""
        job = self._jobs.get(job_id)
        return job if job is not None and job.namespace == namespace else None

    def list_jobs(self, namespace: str, *, stages: set[str], labels: Mapping[str, str]) -> list[Job]:
        """Return the jobs in any of the stages (if empty: in all) that have all labels, newest first."""
        found = [
            job
            for job in self._jobs.values()
            if job.namespace == namespace
            and (not stages or job.stage in stages)
            and all(job.labels.get(key) == value for key, value in labels.items())
        ]
        return sorted(found, key=lambda job: (job.created, job.id), reverse=True)

    def replace_labels(self, job: Job, labels: dict[str, str]) -> Job:
        """Replace all labels of a job."""
        return self._save(replace(self._jobs[job.id], labels=labels))

    def cancel(self, job: Job) -> Job:
        """End a job as CANCELED. A job that has ended does not change."""
        if job.stage not in TERMINAL:
            self._finish(job, "CANCELED", None)
            if job.id in self._processes:
                self._processes[job.id].kill()
            else:
                self._tasks[job.id].cancel()
        return self._jobs[job.id]

    def kill(self, job_id: str, message: str) -> bool:
        """Kill the process of a running job, as a lost node or the OOM killer does. Returns False if none runs."""
        process = self._processes.get(job_id)
        if process is None:
            return False
        self._kill_messages[job_id] = message
        process.kill()
        return True

    def hold(self, *, held: bool) -> None:
        """Keep jobs in SCHEDULING, or let them start."""
        if held:
            self._not_held.clear()
        else:
            self._not_held.set()

    def log(self, job: Job) -> JobLog:
        """Return the job's log."""
        return self._logs[job.id]

    def billing(self) -> list[dict[str, Any]]:
        """Return the billing of each job, oldest first."""
        now = time.time()
        return [job.bill(now) for job in sorted(self._jobs.values(), key=lambda job: job.created)]

    def _start_task(self, job: Job) -> None:
        task = asyncio.create_task(self._run(job.id))
        self._tasks[job.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(job.id, None))

    async def _run(self, job_id: str) -> None:
        waited = time.time() - self._jobs[job_id].created
        await asyncio.sleep(max(0.0, self._state.profile.scheduling - waited))
        await self._not_held.wait()
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
        job = self._save(replace(job, stage="RUNNING", started=job.started or time.time()))
        process = await JobProcess.start(
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
        killed = self._kill_messages.pop(job_id, None)
        if killed is not None:
            return "ERROR", killed
        if code == 0:
            return "COMPLETED", None
        return "ERROR", f"Job failed with exit code: {code if code > 0 else 128 - code}"

    def _finish(self, job: Job, stage: Any, message: str | None) -> None:
        if self._jobs[job.id].stage in TERMINAL:
            return
        self._save(replace(self._jobs[job.id], stage=stage, message=message, finished=time.time()))
        (self._state.folder / job.id / "secrets.json").unlink(missing_ok=True)
        self._logs[job.id].close()

    def _save(self, job: Job) -> Job:
        write_json(self._state.folder / job.id / "job.json", job.to_stored(), mode=0o600)
        self._jobs[job.id] = job
        return job

    def _environment(self) -> dict[str, str]:
        return {
            "MODELOPS_SANDBOX": "1",
            "HF_ENDPOINT": self._state.urls["hub"],
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }


_TIMED_OUT = "Job timed out"

JOBS: web.AppKey[JobService] = web.AppKey("jobs", JobService)
