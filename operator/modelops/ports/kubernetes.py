"""The Kubernetes API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A kind of object, as the API server's paths name it."""

    group: str
    version: str
    plural: str
    kind: str


class Kube(Protocol):
    """The Kubernetes API. Every write is conditional.

    Errors are Conflict, Missing, Refused, Unavailable, Uncertain, NotLeader.
    """

    async def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """Reads the object from the API server; None where it does not exist."""

    async def list(
        self, resource: Resource, *, namespace: str | None = None, label_selector: str | None = None
    ) -> tuple[list[Json], str]:
        """The objects and the resourceVersion of the list."""

    async def create(self, resource: Resource, body: Json) -> Json:
        """Creates the object. Raises Conflict where the name exists."""

    async def replace_status(self, resource: Resource, body: Json) -> Json:
        """Replaces the status (PUT …/status). `body` must have metadata.resourceVersion."""

    async def patch(self, resource: Resource, namespace: str, name: str, merge: Json) -> Json:
        """Applies a merge patch. `merge` must have metadata.resourceVersion."""

    async def delete(
        self, resource: Resource, namespace: str, name: str, *, resource_version: str | None = None
    ) -> None:
        """Deletes the object. A missing object is no error."""

    async def event(self, regarding: Json, *, reason: str, message: str, warning: bool = False) -> None:
        """Writes an Event, best effort: never raises."""
