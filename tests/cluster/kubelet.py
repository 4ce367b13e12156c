"""Writes the statuses of Pods and other objects that a kubelet and controllers would write; neither runs here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from tests.patience import deadline_after, patient

from modelops.adapters.clusterjobs.names import PODS
from modelops.adapters.kube import KubeClient
from modelops.adapters.kube.client import collection_path
from modelops.ports import Json, Resource

Answer = TypeVar("Answer")


def timestamp(moment: datetime) -> str:
    """A time in the form that Kubernetes uses: RFC 3339, in UTC, with seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def wait_until(
    question: Callable[[], Awaitable[Answer | None]], *, seconds: float = 120, expected: str = ""
) -> Answer:
    """Waits for the first true answer, and returns it.

    The limit is long because the garbage collector takes up to a minute to discover a new kind. `expected` says in the
    AssertionError what was waited for.
    """
    deadline = deadline_after(seconds)
    while not (answer := await question()):
        assert time.monotonic() < deadline, f"not within {patient(seconds):.0f} s: {expected}"
        await asyncio.sleep(0.05)
    return answer


async def set_status(kube: KubeClient, resource: Resource, item: Json, **status: Any) -> Json:
    """Merges fields into an object's status."""
    metadata = item["metadata"]
    path = f"{collection_path(resource, metadata['namespace'])}/{metadata['name']}/status"
    return await kube.transport.call(
        "patch",
        path,
        plural=resource.plural,
        body={"status": status},
        content_type="application/merge-patch+json",
    )


async def wait_for_pod(kube: KubeClient, namespace: str, job: str) -> Json:
    """Waits for the Pod that the Job's controller creates; returns it."""

    async def find_pod() -> Json | None:
        pods, _ = await kube.list(
            PODS, namespace=namespace, label_selector=f"batch.kubernetes.io/job-name={job}"
        )
        return pods[0] if pods else None

    return await wait_until(find_pod, expected=f"a Pod of {job}")


async def set_running(kube: KubeClient, pod: Json, *, since: datetime) -> None:
    """Sets the Pod's status to running since this time."""
    state = {"running": {"startedAt": timestamp(since)}}
    await set_status(
        kube,
        PODS,
        pod,
        phase="Running",
        startTime=timestamp(since),
        containerStatuses=[container_status(pod, state, ready=True)],
    )


async def set_exited(kube: KubeClient, pod: Json, code: int, *, at: datetime, reason: str = "") -> None:
    """Sets the Pod's status to ended with this exit code."""
    ended = {
        "exitCode": code,
        "finishedAt": timestamp(at),
        "reason": reason or ("Error" if code else "Completed"),
    }
    phase = "Failed" if code else "Succeeded"
    await set_status(
        kube,
        PODS,
        pod,
        phase=phase,
        containerStatuses=[container_status(pod, {"terminated": ended}, ready=False)],
    )


async def set_outlived(kube: KubeClient, pod: Json, code: int, *, since: datetime, at: datetime) -> None:
    """Sets the Pod's status to running, only because of a container that a service mesh has added."""
    ended = {"exitCode": code, "finishedAt": timestamp(at), "reason": "Error" if code else "Completed"}
    proxy = {
        **container_status(pod, {"running": {"startedAt": timestamp(since)}}, ready=True),
        "name": "istio-proxy",
    }
    own = container_status(pod, {"terminated": ended}, ready=False)
    times = {"startTime": timestamp(since), "containerStatuses": [own, proxy]}
    await set_status(kube, PODS, pod, phase="Running", **times)


def container_status(pod: Json, state: Json, *, ready: bool) -> Json:
    """The status of a Pod's only container."""
    spec = pod["spec"]["containers"][0]
    return {
        "name": spec["name"],
        "image": spec["image"],
        "imageID": "",
        "ready": ready,
        "restartCount": 0,
        "state": state,
    }
