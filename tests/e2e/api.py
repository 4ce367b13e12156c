"""A small client of the API server for the tests: reads, writes, and waiting for a condition with a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

import aiohttp
from tests.patience import deadline_after, patient

from modelops.adapters.kube import Connection
from modelops.ports import Json

GROUP = "/apis/modelops.code-chef.dev/v1alpha1"
_PATHS = {
    "AgentModel": (GROUP, "agentmodels"),
    "TrainingRun": (GROUP, "trainingruns"),
    "Rollout": (GROUP, "rollouts"),
    "ConfigMap": ("/api/v1", "configmaps"),
    "Secret": ("/api/v1", "secrets"),
    "Event": ("/api/v1", "events"),
    "Pod": ("/api/v1", "pods"),
    "Job": ("/apis/batch/v1", "jobs"),
    "Namespace": ("/api/v1", "namespaces"),
}
_POLL_SECONDS = 0.15


class Api:
    """Reads and writes the objects of one namespace."""

    def __init__(self, session: aiohttp.ClientSession, server: str, namespace: str) -> None:
        self.namespace = namespace
        self._session = session
        self._server = server

    def _url(self, kind: str, name: str = "") -> str:
        root, plural = _PATHS[kind]
        scope = "" if kind == "Namespace" else f"/namespaces/{self.namespace}"
        return f"{self._server}{root}{scope}/{plural}" + (f"/{name}" if name else "")

    async def _call(self, method: str, url: str, body: Json | None = None, media: str = "") -> Json:
        headers = {"Content-Type": media or "application/json"}
        async with self._session.request(method, url, json=body, headers=headers) as answer:
            content: Json = await answer.json()
            if answer.status >= 400:
                raise LookupError(f"{method} {url}: {answer.status} {content.get('message')}")
            return content

    async def create(self, manifest: Json) -> Json:
        """Creates an object and returns it as the API server stored it."""
        return await self._call("POST", self._url(manifest["kind"]), manifest)

    async def get(self, kind: str, name: str) -> Json | None:
        """The object, or None where there is none."""
        async with self._session.get(self._url(kind, name)) as answer:
            found: Json = await answer.json()
            return found if answer.status == 200 else None

    async def list(self, kind: str) -> list[Json]:
        """All objects of a kind."""
        found: list[Json] = (await self._call("GET", self._url(kind)))["items"]
        return found

    async def patch(self, kind: str, name: str, merge: Json) -> Json:
        """Sends a merge patch without a resourceVersion, as `kubectl patch` does."""
        return await self._call("PATCH", self._url(kind, name), merge, "application/merge-patch+json")

    async def put(self, manifest: Json) -> Json:
        """Creates the object, or makes it what the manifest says; its metadata stay, and labels are added."""
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        found = await self.get(kind, name)
        if found is None:
            return await self.create(manifest)
        labels = {**found["metadata"].get("labels", {}), **manifest["metadata"].get("labels", {})}
        body = {**manifest, "metadata": {**found["metadata"], "labels": labels}}
        return await self._call("PUT", self._url(kind, name), body)

    async def patch_status(self, kind: str, name: str, status: Json) -> Json:
        """Merges fields into the status subresource, as a controller does."""
        url, media = f"{self._url(kind, name)}/status", "application/merge-patch+json"
        return await self._call("PATCH", url, {"status": status}, media)

    async def delete(self, kind: str, name: str) -> None:
        """Asks for the deletion; finalizers may keep the object for a while."""
        await self._call("DELETE", self._url(kind, name))

    async def remove_namespace(self) -> None:
        """`tests.namespaces.remove_namespace` for the namespace of this client."""
        for kind in ("AgentModel", "TrainingRun", "Rollout"):
            for item in await self.list(kind):
                name = item["metadata"]["name"]
                await self.delete(kind, name)
                if item["metadata"].get("finalizers"):
                    with contextlib.suppress(LookupError):  # It is gone.
                        await self.patch(kind, name, {"metadata": {"finalizers": None}})
        await self.delete("Namespace", self.namespace)

    async def wait_until(
        self,
        kind: str,
        name: str,
        predicate: Callable[[Json], Any],
        *,
        seconds: float = 60,
        expected: str = "",
    ) -> Json:
        """Waits until the object exists and `predicate` is true of it; returns the object.

        `expected` completes the sentence "not ... within 60 s" of the AssertionError.
        """
        deadline = deadline_after(seconds)
        while True:
            found = await self.get(kind, name)
            if found is not None and predicate(found):
                return found
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"{kind} {name}: not {expected or 'so'} within {patient(seconds):.0f} s: {status_summary(found)}"
                )
            await asyncio.sleep(_POLL_SECONDS)

    async def wait_until_deleted(self, kind: str, name: str, *, seconds: float = 60) -> None:
        """Waits until the object no longer exists."""
        deadline = deadline_after(seconds)
        while (found := await self.get(kind, name)) is not None:
            assert time.monotonic() < deadline, f"{kind} {name} is still there: {status_summary(found)}"
            await asyncio.sleep(_POLL_SECONDS)

    async def wait_until_finished(self, kind: str, name: str, *, seconds: float = 90) -> Json:
        """Waits until the condition Finished is True; returns the object."""
        return await self.wait_until(
            kind, name, lambda o: condition(o, "Finished") == "True", seconds=seconds, expected="Finished"
        )


def open_session(connection: Connection) -> aiohttp.ClientSession:
    """An HTTP session with the connection's credentials; the caller closes it."""
    context = connection.ssl_context()
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=True if context is None else context),
        headers=connection.headers(),
    )


def condition(item: Json, kind: str) -> str:
    """Status of the condition of this type; empty where there is none."""
    found = (c for c in status(item).get("conditions", ()) if c["type"] == kind)
    return str(next(found, {"status": ""})["status"])


def status(item: Json) -> Json:
    """The object's status; empty before the first write."""
    found: Json = item.get("status") or {}
    return found


def ready_message(item: Json) -> str:
    """Message of the condition Ready; empty where there is none."""
    found = (c for c in status(item).get("conditions", ()) if c["type"] == "Ready")
    return str(next(found, {"message": ""})["message"])


def status_summary(item: Json | None) -> str:
    """Phase, reason, step and message, for the message of a failed assertion."""
    if item is None:
        return "the object does not exist"
    item_status = status(item)
    return f"{item_status.get('phase')}/{item_status.get('reason')} step {item_status.get('step')}: {ready_message(item)}"
