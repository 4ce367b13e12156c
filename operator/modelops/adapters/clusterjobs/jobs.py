"""`ports.Jobs` on objects of this cluster. The account is `<engine>:<namespace>`; the `token` arguments are ignored."""
# ruff: noqa: ARG002

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Final

from modelops.adapters.clusterjobs.container import payload_config_map
from modelops.adapters.clusterjobs.job_kind import JobKind, job_state
from modelops.adapters.clusterjobs.kueue import queue_messages
from modelops.adapters.clusterjobs.names import (
    ATTEMPT_LABEL,
    CONFIG_MAPS,
    COST_FINALIZER,
    PODS,
    STARTED_ANNOTATION,
    attempt_label_of,
)
from modelops.adapters.clusterjobs.pods import PodSummary, reporting_pod, summarize_pods
from modelops.adapters.kube import KubeClient
from modelops.domain.training.account import namespace_of
from modelops.domain.training.naming import cluster_job_name
from modelops.ports import Clock, Conflict, Flavor, Job, JobRequest, Json, Missing, Refused, Unavailable

ROLES_FILE: Final = "config/rbac/own-gpus.yaml"
WRITE_TRIES: Final = 4
"""How often a conditional write is tried: the job's controller may write the same object at the same time."""


class ClusterJobs:
    """Jobs of one kind. Every attempt has one name, so the API server refuses to create it twice."""

    def __init__(self, kube: KubeClient, kind: JobKind, *, clock: Clock) -> None:
        self._kube = kube
        self._kind = kind
        self._clock = clock

    async def submit(self, token: str, request: JobRequest) -> Job:
        """Creates the job; where one of that name exists, it is the same attempt and is returned as it is."""
        cluster_settings, namespace = request.cluster_settings, namespace_of(request.namespace)
        assert cluster_settings is not None
        async with self._explained_refusals(namespace):
            # Listed first: a job that the operator may not read afterwards must not start.
            existing = await self.list_labelled(token, request.namespace, request.label)
            if existing:
                return existing[0]
            if message := await self._kind.missing_prerequisite(self._kube, request, namespace=namespace):
                raise Refused(message)
            with suppress(Conflict):  # An earlier submission made it, and its answer was lost.
                body = payload_config_map(request, cluster_settings, namespace=namespace)
                await self._kube.create(CONFIG_MAPS, body)
            body = self._kind.manifest(request, cluster_settings, namespace=namespace)
            try:
                created = await self._kube.create(self._kind.resource, body)
            except Conflict:
                return await self._existing_job(request, namespace)
        return job_state(self._kind, created, PodSummary(), now=self._clock.now())

    async def _existing_job(self, request: JobRequest, namespace: str) -> Job:
        name, kind = cluster_job_name(request.label), self._kind.resource.kind
        found = await self._kube.get(self._kind.resource, namespace, name)
        if found is None:
            raise Unavailable(
                f"{kind} {name} of namespace {namespace} existed when it was to be created, and is deleted now; "
                "the submission is tried again"
            )
        if attempt_label_of(found) != request.label:
            raise Refused(
                f"{kind} {name} of namespace {namespace} belongs to something else: its label {ATTEMPT_LABEL} is "
                f"{attempt_label_of(found)!r}, not {request.label!r}; delete it, so that the attempt can use the name"
            )
        return (await self._job_states(namespace, [found]))[0]

    async def list_labelled(self, token: str, namespace: str, label: str) -> tuple[Job, ...]:
        """At most one job, because its name follows from the label."""
        return await self._list_jobs(namespace_of(namespace), f"{ATTEMPT_LABEL}={label}")

    async def list_active(self, token: str, namespace: str) -> tuple[Job, ...]:
        """One listing of the jobs, one of their Pods, and one of Kueue's Workloads where jobs are suspended."""
        jobs = await self._list_jobs(namespace_of(namespace), ATTEMPT_LABEL)
        return tuple(job for job in jobs if not job.ended)

    async def _list_jobs(self, namespace: str, selector: str) -> tuple[Job, ...]:
        async with self._explained_refusals(namespace):
            items, _ = await self._kube.list(
                self._kind.resource, namespace=namespace, label_selector=selector
            )
            return await self._job_states(namespace, items)

    async def inspect(self, token: str, namespace: str, job_id: str) -> Job | None:
        """One job; None where no object has that name."""
        namespace = namespace_of(namespace)
        async with self._explained_refusals(namespace):
            found = await self._kube.get(self._kind.resource, namespace, job_id)
            return (await self._job_states(namespace, [found]))[0] if found is not None else None

    async def cancel(self, token: str, namespace: str, job_id: str) -> None:
        """Deletes the job after its Pods; a finalizer keeps the object until `release`, when its cost is recorded.

        The job is deleted, because Kueue would resume a suspended job, and a deadline does not end a suspended job.
        """
        namespace = namespace_of(namespace)
        async with self._explained_refusals(namespace):
            for _ in range(WRITE_TRIES):
                item = await self._kube.get(self._kind.resource, namespace, job_id)
                if item is None or self._kind.outcome(item) is not None:
                    return
                try:
                    await self._add_cost_finalizer(namespace, item)
                except (Conflict, Missing):
                    continue
                await self._kube.delete(self._kind.resource, namespace, job_id, foreground=True)
                return
        raise self._keeps_changing(namespace, job_id, "cancelled")

    async def _add_cost_finalizer(self, namespace: str, item: Json) -> None:
        """Adds the finalizer, and an annotation with the start: the Pods, which show it, are deleted first."""
        metadata = item["metadata"]
        if COST_FINALIZER in (metadata.get("finalizers") or ()) or metadata.get("deletionTimestamp"):
            return
        pods = await self._pods_by_job(namespace, [item])
        started = pods.get(metadata["name"], PodSummary()).started_at
        changed = {
            "resourceVersion": metadata["resourceVersion"],
            "finalizers": [*(metadata.get("finalizers") or ()), COST_FINALIZER],
            "annotations": {STARTED_ANNOTATION: _timestamp(started)},
        }
        name = metadata["name"]
        await self._kube.patch(self._kind.resource, namespace, name, {"metadata": changed})

    async def release(self, token: str, namespace: str, job_id: str) -> None:
        """Removes the finalizer that `cancel` added, or deletes a job that has ended and is kept running by a mesh."""
        namespace = namespace_of(namespace)
        async with self._explained_refusals(namespace):
            for _ in range(WRITE_TRIES):
                item = await self._kube.get(self._kind.resource, namespace, job_id)
                if item is None:
                    return
                metadata = item["metadata"]
                if COST_FINALIZER not in (metadata.get("finalizers") or ()):
                    await self._end_outlived(namespace, item)
                    return
                kept = [name for name in metadata["finalizers"] if name != COST_FINALIZER]
                changed = {"resourceVersion": metadata["resourceVersion"], "finalizers": kept}
                try:
                    await self._kube.patch(self._kind.resource, namespace, job_id, {"metadata": changed})
                except Conflict:
                    continue
                except Missing:
                    return
                return
        raise self._keeps_changing(namespace, job_id, "released")

    async def _end_outlived(self, namespace: str, item: Json) -> None:
        """Its container has ended, but another one keeps the Pods, and with them their GPUs."""
        if self._kind.outcome(item) is None and (await self._job_states(namespace, [item]))[0].ended:
            await self._kube.delete(self._kind.resource, namespace, item["metadata"]["name"])

    async def tail(self, token: str, namespace: str, job_id: str, lines: int) -> tuple[str, ...]:
        """The last lines of the log of `reporting_pod`; empty where the job has no Pod."""
        namespace = namespace_of(namespace)
        async with self._explained_refusals(namespace):
            selector = self._kind.pod_selector([job_id])
            pods, _ = await self._kube.list(PODS, namespace=namespace, label_selector=selector)
            pod = reporting_pod(pods)
            if not pod:
                return ()
            log = await self._kube.log(namespace, pod, lines=lines, container=self._kind.container)
            return tuple(log.splitlines())

    async def end_of_log(self, token: str, namespace: str, job_id: str, lines: int) -> tuple[str, ...]:
        """The same lines as `tail`: the API server answers with the whole log of a Pod that has ended."""
        return await self.tail(token, namespace, job_id, lines)

    async def flavors(self, token: str) -> tuple[Flavor, ...]:
        """Empty: a cluster has no price list. The prices are in the operator's training defaults."""
        return ()

    async def _job_states(self, namespace: str, items: Sequence[Json]) -> tuple[Job, ...]:
        unfinished = [item for item in items if self._kind.outcome(item) is None]
        # The Pods of a finished job are needed only when its cost is recorded, and then it is read alone.
        pods = await self._pods_by_job(namespace, items if len(items) == 1 else unfinished)
        suspended = [item for item in unfinished if self._kind.is_suspended(item)]
        queued = await queue_messages(self._kube, namespace=namespace, items=suspended)
        now = self._clock.now()
        return tuple(
            job_state(
                self._kind,
                item,
                pods.get(item["metadata"]["name"], PodSummary()),
                now=now,
                queued=queued.get(item["metadata"]["uid"], ""),
            )
            for item in items
        )

    async def _pods_by_job(self, namespace: str, items: Sequence[Json]) -> dict[str, PodSummary]:
        if not items:
            return {}
        selector = self._kind.pod_selector([item["metadata"]["name"] for item in items])
        listed, _ = await self._kube.list(PODS, namespace=namespace, label_selector=selector)
        by_job: dict[str, list[Json]] = defaultdict(list)
        for pod in listed:
            by_job[self._kind.job_name_of(pod)].append(pod)
        own = self._kind.container
        return {name: summarize_pods(pods, container=own) for name, pods in by_job.items()}

    def _keeps_changing(self, namespace: str, job_id: str, what: str) -> Unavailable:
        return Unavailable(
            f"{self._kind.resource.kind} {job_id} of namespace {namespace} was not {what}: it changed during each of "
            f"{WRITE_TRIES} tries; the operator tries again"
        )

    @asynccontextmanager
    async def _explained_refusals(self, namespace: str) -> AsyncIterator[None]:
        """Adds the remedy to a refusal of the API server."""
        kind = self._kind.resource.kind
        try:
            yield
        except Refused as error:
            if "forbidden" not in str(error) or ROLES_FILE in str(error):
                raise
            raise Refused(
                f"{error}; bind ClusterRole {self._kind.cluster_role} of {ROLES_FILE} to the operator in namespace "
                f"{namespace}"
            ) from error
        except Missing as error:
            raise Refused(
                f"a {kind} cannot be created in namespace {namespace}: {error}; check that the namespace exists and "
                f"that the cluster serves {self._kind.resource.plural}"
            ) from error


def _timestamp(moment: datetime | None) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else ""
