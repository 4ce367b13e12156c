"""`ports.Kube` on an aiohttp session: conditional writes, live reads and Events."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from modelops.adapters.kube.answers import Expired, NotFound
from modelops.adapters.kube.connection import Connection
from modelops.adapters.kube.events import EventPoster
from modelops.adapters.kube.transport import OnCall, Transport
from modelops.api.v1alpha1.names import FIELD_MANAGER
from modelops.ports import Json, Missing, Refused, Resource

WriteGuard = Callable[[], None]
"""Raises NotLeader where this process may not write. Called right before every write."""

_LIST_PAGE = "500"
_MERGE_PATCH = "application/merge-patch+json"


def collection_path(resource: Resource, namespace: str | None) -> str:
    """The path of the resource's collection on the API server."""
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    return f"{root}/namespaces/{namespace}/{resource.plural}" if namespace else f"{root}/{resource.plural}"


class KubeClient:
    """The Kubernetes API over one Transport. The errors are those of `ports.Kube`.

    `before_write` is called before every write. `with_before_write` returns another client on the same
    connections, with which the lease itself can be written before this process is the leader.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        before_write: WriteGuard = lambda: None,
        events: EventPoster | None = None,
    ) -> None:
        self.transport = transport
        self.before_write = before_write
        self._events = events or EventPoster(self.create)

    @classmethod
    def from_kubeconfig(
        cls,
        path: Path | None = None,
        *,
        before_write: WriteGuard = lambda: None,
        on_call: OnCall = lambda *_: None,
    ) -> Self:
        """A client of `Connection.discover(path)`; use it as an async context manager.

        Raises:
            ConfigurationError: there is no usable kubeconfig, and the process does not run in a Pod.
        """
        return cls(Transport(Connection.discover(path), on_call=on_call), before_write=before_write)

    def with_before_write(self, before_write: WriteGuard) -> KubeClient:
        """Another client on the same connections. The caller must keep this client open meanwhile."""
        return KubeClient(self.transport, before_write=before_write, events=self._events)

    async def __aenter__(self) -> Self:
        await self.transport.__aenter__()
        self._events.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._events.close()
        await self.transport.__aexit__(kind, error, trace)

    async def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """Reads the object from the API server; None where it does not exist."""
        path = f"{collection_path(resource, namespace)}/{name}"
        try:
            return await self.transport.call("get", path, plural=resource.plural)
        except NotFound:
            return None

    async def list(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> tuple[list[Json], str]:
        """The items, with apiVersion and kind, and the list's resourceVersion. Empty where the kind is unknown."""
        params = {"limit": _LIST_PAGE}
        if field_selector:
            params["fieldSelector"] = field_selector
        if label_selector:
            params["labelSelector"] = label_selector
        api_version = f"{resource.group}/{resource.version}" if resource.group else resource.version
        items: list[Json] = []
        while True:
            path = collection_path(resource, namespace)
            try:
                page = await self.transport.call("list", path, plural=resource.plural, params=params)
            except NotFound:
                return [], "0"
            except (
                Expired
            ):  # The continue token expired, because reading the pages took too long: start again.
                items.clear()
                del params["continue"]
                continue
            items += ({"apiVersion": api_version, "kind": resource.kind, **item} for item in page["items"])
            if not page["metadata"].get("continue"):
                return items, page["metadata"]["resourceVersion"]
            params["continue"] = page["metadata"]["continue"]

    async def create(self, resource: Resource, body: Json) -> Json:
        """Creates the object (POST). Raises Conflict where the name exists."""
        self.before_write()
        path = collection_path(resource, body.get("metadata", {}).get("namespace"))
        params = {"fieldManager": FIELD_MANAGER}
        return await self.transport.call("create", path, plural=resource.plural, params=params, body=body)

    async def replace_status(self, resource: Resource, body: Json) -> Json:
        """Replaces the status (PUT …/status), conditional on the body's metadata.resourceVersion."""
        metadata = body["metadata"]
        _require_resource_version(metadata.get("resourceVersion"), resource, metadata["name"])
        self.before_write()
        return await self.transport.call(
            "update_status",
            f"{collection_path(resource, metadata['namespace'])}/{metadata['name']}/status",
            plural=resource.plural,
            params={"fieldManager": FIELD_MANAGER},
            body=body,
        )

    async def patch(self, resource: Resource, namespace: str, name: str, merge: Json) -> Json:
        """Applies a merge patch, conditional on its metadata.resourceVersion."""
        _require_resource_version(merge.get("metadata", {}).get("resourceVersion"), resource, name)
        self.before_write()
        return await self.transport.call(
            "patch",
            f"{collection_path(resource, namespace)}/{name}",
            plural=resource.plural,
            params={"fieldManager": FIELD_MANAGER},
            body=merge,
            content_type=_MERGE_PATCH,
        )

    async def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        resource_version: str | None = None,
        foreground: bool = False,
    ) -> None:
        """Deletes the object, if given only at `resource_version`; a missing object is no error.

        With `foreground` the API server deletes the objects that it owns first and keeps the object until then;
        otherwise it deletes them afterwards.
        """
        policy = "Foreground" if foreground else "Background"
        body: Json = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy}
        if resource_version is not None:
            body["preconditions"] = {"resourceVersion": resource_version}
        self.before_write()
        path = f"{collection_path(resource, namespace)}/{name}"
        try:
            await self.transport.call("delete", path, plural=resource.plural, body=body)
        except Missing:
            return

    async def log(
        self, namespace: str, pod: str, *, lines: int, container: str = "", max_bytes: int = 2**20
    ) -> str:
        """The last lines of a container's log. Raises Refused where no kubelet has that log.

        Without a name the Pod may have only one container.
        """
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        params = {"tailLines": str(lines), "limitBytes": str(max_bytes)}
        if container:
            params["container"] = container
        try:
            return await self.transport.text(path, plural="pods/log", params=params)
        except (NotFound, Expired) as error:
            raise Refused(str(error)) from error

    async def event(self, regarding: Json, *, reason: str, message: str, warning: bool = False) -> None:
        """Queues an Event. A separate task posts it; it is dropped where too many wait. Never raises."""
        self._events.put(regarding, reason=reason, message=message, warning=warning)


def _require_resource_version(version: object, resource: Resource, name: str) -> None:
    if not version:
        raise ValueError(
            f"the write of {resource.plural}/{name} has no metadata.resourceVersion and would be unconditional: "
            "read the object first and send its resourceVersion"
        )
