"""`ports.Jobs` of every account: the account says which service runs its jobs."""

from __future__ import annotations

from modelops.domain.training.account import KUBERNETES, TRAIN_JOB, engine_of
from modelops.ports import Flavor, Job, JobRequest, Jobs


class JobsByAccount:
    """Sends each call to the service of its account. Only Hugging Face has a list of prices."""

    def __init__(self, *, hugging_face: Jobs, kubernetes: Jobs, train_job: Jobs) -> None:
        self._services = {"": hugging_face, KUBERNETES: kubernetes, TRAIN_JOB: train_job}

    def _of(self, account: str) -> Jobs:
        return self._services[engine_of(account)]

    async def submit(self, token: str, request: JobRequest) -> Job:
        return await self._of(request.namespace).submit(token, request)

    async def list_labelled(self, token: str, namespace: str, label: str) -> tuple[Job, ...]:
        return await self._of(namespace).list_labelled(token, namespace, label)

    async def list_active(self, token: str, namespace: str) -> tuple[Job, ...]:
        return await self._of(namespace).list_active(token, namespace)

    async def inspect(self, token: str, namespace: str, job_id: str) -> Job | None:
        return await self._of(namespace).inspect(token, namespace, job_id)

    async def cancel(self, token: str, namespace: str, job_id: str) -> None:
        await self._of(namespace).cancel(token, namespace, job_id)

    async def release(self, token: str, namespace: str, job_id: str) -> None:
        await self._of(namespace).release(token, namespace, job_id)

    async def tail(self, token: str, namespace: str, job_id: str, lines: int) -> tuple[str, ...]:
        return await self._of(namespace).tail(token, namespace, job_id, lines)

    async def end_of_log(self, token: str, namespace: str, job_id: str, lines: int) -> tuple[str, ...]:
        return await self._of(namespace).end_of_log(token, namespace, job_id, lines)

    async def flavors(self, token: str) -> tuple[Flavor, ...]:
        return await self._services[""].flavors(token)
