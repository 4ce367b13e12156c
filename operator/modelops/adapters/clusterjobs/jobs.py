"""`ports.Jobs` on objects of this cluster. The account is `<engine>:<namespace>`; tokens are of no use here."""
# ruff: noqa: ARG002

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Final

from modelops.adapters.clusterjobs.container import shipped
from modelops.adapters.clusterjobs.engine import Engine, seen
from modelops.adapters.clusterjobs.names import ATTEMPT, BOOKED, CONFIG_MAPS, PODS, STARTED, label_of
from modelops.adapters.clusterjobs.pods import Pods, leader, read
from modelops.adapters.clusterjobs.queue import why_queued
from modelops.adapters.kube import KubeClient
from modelops.domain.training.account import namespace_of
from modelops.domain.training.naming import cluster_job_name
from modelops.ports import Clock, Conflict, Flavor, Job, JobRequest, Json, Missing, Refused, Unavailable

ROLES: Final = "config/rbac/own-gpus.yaml"
TRIES: Final = 4
"""Of a conditional write, where its controller writes the job at the same time."""


class ClusterJobs:
    """One engine. Every attempt has one name, so that a second creation is refused by the API server."""

    def __init__(self, kube: KubeClient, engine: Engine, *, clock: Clock) -> None:
        self._kube = kube
        self._engine = engine
        self._clock = clock

    async def submit(self, token: str, request: JobRequest) -> Job:
        """Creates it; one of that name is the same attempt, and is returned as it is."""
        placement, namespace = request.placement, namespace_of(request.namespace)
        assert placement is not None
        async with self._words(namespace):
            # Whatever may not be read afterwards is refused before anything runs.
            there = await self.list_labelled(token, request.namespace, request.label)
            if there:
                return there[0]
            if why := await self._engine.refusal(self._kube, request, namespace=namespace):
                raise Refused(why)
            with suppress(Conflict):  # Of an earlier try whose answer was lost.
                await self._kube.create(CONFIG_MAPS, shipped(request, placement, namespace=namespace))
            body = self._engine.manifest(request, placement, namespace=namespace)
            try:
                made = await self._kube.create(self._engine.resource, body)
            except Conflict:
                return await self._adopted(request, namespace)
        return seen(self._engine, made, Pods(), now=self._clock.now())

    async def _adopted(self, request: JobRequest, namespace: str) -> Job:
        name, kind = cluster_job_name(request.label), self._engine.resource.kind
        found = await self._kube.get(self._engine.resource, namespace, name)
        if found is None:
            raise Unavailable(f"{kind} {name} of namespace {namespace} was there and is gone")
        if label_of(found) != request.label:
            raise Refused(
                f"{kind} {name} of namespace {namespace} is not this attempt's, by its label {ATTEMPT}: delete it"
            )
        return (await self._seen(namespace, [found]))[0]

    async def list_labelled(self, token: str, namespace: str, label: str) -> tuple[Job, ...]:
        """At most one, by its name."""
        return await self._listed(namespace_of(namespace), f"{ATTEMPT}={label}")

    async def list_active(self, token: str, namespace: str) -> tuple[Job, ...]:
        """One listing of the jobs, one of their Pods, and of Kueue's Workloads where some wait."""
        return tuple(job for job in await self._listed(namespace_of(namespace), ATTEMPT) if not job.ended)

    async def _listed(self, namespace: str, selector: str) -> tuple[Job, ...]:
        async with self._words(namespace):
            items, _ = await self._kube.list(
                self._engine.resource, namespace=namespace, label_selector=selector
            )
            return await self._seen(namespace, items)

    async def inspect(self, token: str, namespace: str, job_id: str) -> Job | None:
        """One job; None where there is none of that name."""
        namespace = namespace_of(namespace)
        async with self._words(namespace):
            found = await self._kube.get(self._engine.resource, namespace, job_id)
            return (await self._seen(namespace, [found]))[0] if found is not None else None

    async def cancel(self, token: str, namespace: str, job_id: str) -> None:
        """Deletes it after its Pods, and keeps it in sight until it is booked.

        A suspended Job would be resumed by Kueue, and a deadline does not end a suspended one.
        """
        namespace = namespace_of(namespace)
        async with self._words(namespace):
            for _ in range(TRIES):
                item = await self._kube.get(self._engine.resource, namespace, job_id)
                if item is None or self._engine.verdict(item) is not None:
                    return
                try:
                    await self._keep(namespace, item)
                except (Conflict, Missing):
                    continue
                await self._kube.delete(self._engine.resource, namespace, job_id, foreground=True)
                return
        raise Unavailable(f"{self._engine.resource.kind} {job_id} of {namespace} changes all the time")

    async def _keep(self, namespace: str, item: Json) -> None:
        """Finalizer, and since when it ran: its Pods, which know that, go first."""
        metadata = item["metadata"]
        if BOOKED in (metadata.get("finalizers") or ()) or metadata.get("deletionTimestamp"):
            return
        started = (await self._pods(namespace, [item])).get(metadata["name"], Pods()).started_at
        changed = {
            "resourceVersion": metadata["resourceVersion"],
            "finalizers": [*(metadata.get("finalizers") or ()), BOOKED],
            "annotations": {STARTED: _written(started)},
        }
        name = metadata["name"]
        await self._kube.patch(self._engine.resource, namespace, name, {"metadata": changed})

    async def release(self, token: str, namespace: str, job_id: str) -> None:
        """Takes the finalizer away."""
        namespace = namespace_of(namespace)
        async with self._words(namespace):
            for _ in range(TRIES):
                item = await self._kube.get(self._engine.resource, namespace, job_id)
                metadata = item["metadata"] if item is not None else {}
                if BOOKED not in (metadata.get("finalizers") or ()):
                    return
                kept = [name for name in metadata["finalizers"] if name != BOOKED]
                changed = {"resourceVersion": metadata["resourceVersion"], "finalizers": kept}
                try:
                    await self._kube.patch(self._engine.resource, namespace, job_id, {"metadata": changed})
                except Conflict:
                    continue
                except Missing:
                    return
                return
        raise Unavailable(f"{self._engine.resource.kind} {job_id} of {namespace} changes all the time")

    async def tail(self, token: str, namespace: str, job_id: str, lines: int) -> tuple[str, ...]:
        """The last lines of the Pod that reports; none where there is no Pod (any more)."""
        namespace = namespace_of(namespace)
        async with self._words(namespace):
            selector = self._engine.selector([job_id])
            pods, _ = await self._kube.list(PODS, namespace=namespace, label_selector=selector)
            pod = leader(pods)
            return tuple((await self._kube.log(namespace, pod, lines=lines)).splitlines()) if pod else ()

    async def flavors(self, token: str) -> tuple[Flavor, ...]:
        """Nobody can be asked: prices are in the operator's training defaults."""
        return ()

    async def _seen(self, namespace: str, items: Sequence[Json]) -> tuple[Job, ...]:
        under_way = [item for item in items if self._engine.verdict(item) is None]
        # What ended by itself is asked for its Pods only where it is looked at alone: to book it.
        pods = await self._pods(namespace, items if len(items) == 1 else under_way)
        suspended = [item for item in under_way if self._engine.suspended(item)]
        queued = await why_queued(self._kube, namespace=namespace, items=suspended)
        now = self._clock.now()
        return tuple(
            seen(
                self._engine,
                item,
                pods.get(item["metadata"]["name"], Pods()),
                now=now,
                queued=queued.get(item["metadata"]["uid"], ""),
            )
            for item in items
        )

    async def _pods(self, namespace: str, items: Sequence[Json]) -> dict[str, Pods]:
        if not items:
            return {}
        selector = self._engine.selector([item["metadata"]["name"] for item in items])
        listed, _ = await self._kube.list(PODS, namespace=namespace, label_selector=selector)
        of_job: dict[str, list[Json]] = defaultdict(list)
        for pod in listed:
            of_job[self._engine.owner(pod)].append(pod)
        return {name: read(pods) for name, pods in of_job.items()}

    @asynccontextmanager
    async def _words(self, namespace: str) -> AsyncIterator[None]:
        """Adds to a refusal what to do about it."""
        kind = self._engine.resource.kind
        try:
            yield
        except Refused as error:
            if "forbidden" not in str(error) or ROLES in str(error):
                raise
            raise Refused(
                f"{error}; bind ClusterRole {self._engine.role} of {ROLES} to the operator in namespace {namespace}"
            ) from error
        except Missing as error:
            raise Refused(f"namespace {namespace} takes no {kind}: {error}") from error


def _written(moment: datetime | None) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else ""
