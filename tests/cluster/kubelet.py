"""What a kubelet and the controllers that do not run here say: the status of Pods and of others' objects."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from modelops.adapters.clusterjobs.names import PODS
from modelops.adapters.kube import KubeClient
from modelops.adapters.kube.client import collection_path
from modelops.ports import Json, Resource

Found = TypeVar("Found")


def written(moment: datetime) -> str:
    """A time as Kubernetes writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def until(ask: Callable[[], Awaitable[Found | None]], *, seconds: float = 120, say: str = "") -> Found:
    """The first answer that is true. The garbage collector takes up to a minute to hear of a new kind."""
    deadline = time.monotonic() + seconds
    while not (found := await ask()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {say}"
        await asyncio.sleep(0.05)
    return found


async def set_status(kube: KubeClient, resource: Resource, item: Json, **status: Any) -> Json:
    """Merges into an object's status."""
    metadata = item["metadata"]
    path = f"{collection_path(resource, metadata['namespace'])}/{metadata['name']}/status"
    return await kube.transport.call(
        "patch",
        path,
        plural=resource.plural,
        body={"status": status},
        content_type="application/merge-patch+json",
    )


async def pod_of(kube: KubeClient, namespace: str, job: str) -> Json:
    """The Pod that the Job's controller made."""

    async def found() -> Json | None:
        pods, _ = await kube.list(
            PODS, namespace=namespace, label_selector=f"batch.kubernetes.io/job-name={job}"
        )
        return pods[0] if pods else None

    return await until(found, say=f"a Pod of {job}")


async def runs(kube: KubeClient, pod: Json, *, since: datetime) -> None:
    """Its node has taken it, and its container runs."""
    state = {"running": {"startedAt": written(since)}}
    await set_status(
        kube,
        PODS,
        pod,
        phase="Running",
        startTime=written(since),
        containerStatuses=[container(pod, state, ready=True)],
    )


async def exits(kube: KubeClient, pod: Json, code: int, *, at: datetime, reason: str = "") -> None:
    """Its container has ended."""
    ended = {
        "exitCode": code,
        "finishedAt": written(at),
        "reason": reason or ("Error" if code else "Completed"),
    }
    phase = "Failed" if code else "Succeeded"
    await set_status(
        kube, PODS, pod, phase=phase, containerStatuses=[container(pod, {"terminated": ended}, ready=False)]
    )


def container(pod: Json, state: Json, *, ready: bool) -> Json:
    """Status of a Pod's only container."""
    spec = pod["spec"]["containers"][0]
    return {
        "name": spec["name"],
        "image": spec["image"],
        "imageID": "",
        "ready": ready,
        "restartCount": 0,
        "state": state,
    }
