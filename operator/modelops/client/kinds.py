"""The operations on the objects of one kind."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Generic
from urllib.parse import quote

from modelops.api.v1alpha1.meta import ConditionStatus
from modelops.api.v1alpha1.names import API_VERSION, GROUP, VERSION, Resource
from modelops.api.v1alpha1.reading import KindT, Reading, read
from modelops.client.errors import (
    ClientError,
    Conflict,
    Invalid,
    NotFound,
    Unreadable,
    WaitTimeout,
    no_such_object,
    not_allowed,
)
from modelops.client.transport import Json, Transport
from modelops.client.watching import watch_events

PAGE: Final = 500
"""Objects of one request of a list, as kubectl asks."""


class EventType(StrEnum):
    """What happened to an object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True)
class Event(Generic[KindT]):
    """A change. `stored` is the object as the API server sent it; `value` is None where its spec cannot be read."""

    type: EventType
    value: KindT | None
    stored: Json


@dataclass(frozen=True)
class Listing(Generic[KindT]):
    """Objects of one kind. `unreadable`: those of another form, with the problems. `next_page` is empty at the end."""

    items: tuple[KindT, ...]
    stored: tuple[Json, ...]
    unreadable: tuple[Reading[KindT], ...]
    next_page: str
    resource_version: str


class Kind(Generic[KindT]):
    """The objects of one kind. `namespace` is that of the client where it is not given."""

    def __init__(self, transport: Transport, model: type[KindT], resource: Resource) -> None:
        self._transport = transport
        self._model: type[KindT] = model
        self.resource = resource

    async def get(self, name: str, *, namespace: str | None = None) -> KindT:
        """The object of that name. Raises NotFound, Unreadable, and what every request raises."""
        return self._typed(await self.get_stored(name, namespace=namespace))

    async def get_stored(self, name: str, *, namespace: str | None = None) -> Json:
        """The object as the API server stores it. Raises NotFound, with the names that there are."""
        place = await self._namespace(namespace)
        try:
            return await self._request("get", place, name=name)
        except NotFound:
            known = None
            with contextlib.suppress(ClientError):
                known = [item["metadata"]["name"] for item in (await self.list(namespace=place)).stored]
            raise no_such_object(self.resource, place, name, known) from None

    async def find(self, name: str, *, namespace: str | None = None) -> KindT | None:
        """The object of that name, with the right to list; None where there is none, or it cannot be read."""
        found = (await self.list(namespace=namespace, field_selector=_only(name))).items
        return found[0] if found else None

    async def list(
        self,
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        limit: int | None = None,
        page: str | None = None,
        every_namespace: bool = False,
    ) -> Listing[KindT]:
        """All objects, or with `limit` one page of them. `page` is the `next_page` of the page before.

        With `every_namespace` the objects of the whole cluster.
        """
        place = None if every_namespace else await self._namespace(namespace)
        stored: list[Json] = []
        query: dict[str, Any] = {"labelSelector": label_selector, "fieldSelector": field_selector}
        while True:
            listed = await self._request(
                "list", place, query={**query, "limit": limit or PAGE, "continue": page}
            )
            stored += [self._with_kind(item) for item in listed["items"]]
            page = listed["metadata"].get("continue") or ""
            if limit is not None or not page:
                break
        readings = [read(self._model, item) for item in stored]
        return Listing(
            items=tuple(reading.value for reading in readings if reading.value is not None),
            stored=tuple(stored),
            unreadable=tuple(reading for reading in readings if reading.value is None),
            next_page=page,
            resource_version=listed["metadata"].get("resourceVersion") or "",
        )

    async def create(
        self,
        name: str,
        spec: Mapping[str, Any],
        *,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        dry_run: bool = False,
    ) -> KindT:
        """Create an object; unknown fields are refused. `spec` is in the wire's form, camelCase.

        With `dry_run` the API server checks everything, admission policies included, and stores nothing.
        Raises AlreadyExists, Invalid, Forbidden, and Uncertain where the answer was lost.
        """
        place = await self._namespace(namespace)
        metadata: Json = {"name": name, "namespace": place}
        if labels:
            metadata["labels"] = dict(labels)
        if annotations:
            metadata["annotations"] = dict(annotations)
        body = {
            "apiVersion": API_VERSION,
            "kind": self.resource.kind,
            "metadata": metadata,
            "spec": dict(spec),
        }
        query = {"fieldValidation": "Strict", "dryRun": "All" if dry_run else None}
        return self._typed(await self._request("create", place, query=query, body=body))

    async def patch(
        self,
        name: str,
        change: Mapping[str, Any],
        *,
        namespace: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
        dry_run: bool = False,
    ) -> KindT:
        """Merge `change` into an object (RFC 7386). With `uid` or `resource_version` only into exactly that one.

        Raises Conflict where it is another one, or was changed in the meantime.
        """
        place = await self._namespace(namespace)
        only = {"uid": uid, "resourceVersion": resource_version}
        expected = {field: value for field, value in only.items() if value}
        body = dict(change)
        if expected:
            body["metadata"] = {**body.get("metadata", {}), **expected}
        query = {"fieldValidation": "Strict", "dryRun": "All" if dry_run else None}
        try:
            return self._typed(await self._request("patch", place, name=name, query=query, body=body))
        except NotFound:
            raise no_such_object(self.resource, place, name, None) from None
        except Invalid as error:
            # The API server answers an unexpected uid as a change of an immutable field.
            if uid and "metadata.uid" in str(error):
                raise Conflict(
                    f"{self.resource.kind} {name} is another object than the one that was read: it was deleted and "
                    "created again"
                ) from error
            raise

    async def delete(self, name: str, *, namespace: str | None = None, uid: str | None = None) -> None:
        """Begin to delete an object; its finalizer may keep it for a while. Raises NotFound, Conflict."""
        place = await self._namespace(namespace)
        body = {"apiVersion": "v1", "kind": "DeleteOptions"} | (
            {"preconditions": {"uid": uid}} if uid else {}
        )
        await self._request("delete", place, name=name, body=body)

    async def watch(
        self, name: str | None = None, *, namespace: str | None = None, seen: Sequence[Json] = ()
    ) -> AsyncGenerator[Event[KindT], None]:
        """The objects that there are as ADDED, and then each change, without an end. `name` restricts it to one object.

        A watch that is cut off is taken up again; what changed in between is told by the difference. `seen`: objects
        that were read before (at least uid and resourceVersion); only what has happened to them since is told. Raises
        what a list raises, and Unavailable where the API server has not answered for a minute.
        """
        place = await self._namespace(namespace)
        selector = _only(name) if name else None
        async with contextlib.aclosing(
            watch_events(
                self._transport,
                self._path(place),
                resource=self.resource,
                namespace=place,
                field_selector=selector,
                seen=seen,
            )
        ) as events:
            async for type_, item in events:
                stored = self._with_kind(item)
                yield Event(EventType(type_), read(self._model, stored).value, stored)

    async def wait(
        self,
        name: str,
        condition: Callable[[KindT], bool],
        *,
        what: str,
        timeout: float,
        namespace: str | None = None,
        seen: Callable[[KindT], None] | None = None,
    ) -> KindT:
        """Wait until `condition` holds of the object, for at most `timeout` seconds. `seen` is told of each change.

        Raises:
            WaitTimeout: it does not hold in time; `what` says what was waited for.
            NotFound: there is no such object, or it was deleted.
        """
        first = await self.get_stored(name, namespace=namespace)
        last: KindT | None = None

        def holds(value: KindT | None) -> bool:
            nonlocal last
            if value is None:
                return False
            last = value
            if seen is not None:
                seen(value)
            return condition(value)

        if holds(read(self._model, first).value) and last is not None:
            return last
        try:
            async with (
                asyncio.timeout(timeout),
                contextlib.aclosing(self.watch(name, namespace=namespace, seen=[first])) as events,
            ):
                async for event in events:
                    if event.type is EventType.DELETED:
                        raise NotFound(f"{self.resource.kind} {name} was deleted before {what}")
                    if holds(event.value) and last is not None:
                        return last
        except TimeoutError:
            pass
        raise WaitTimeout(
            f"{self.resource.kind} {name}: waited {timeout:.0f} s, but not yet: {what}", last=last
        )

    async def may(self, verb: str, *, name: str = "", namespace: str | None = None) -> bool:
        """Whether the caller may do `verb` to this kind, by a SelfSubjectAccessReview."""
        attributes = {
            "namespace": await self._namespace(namespace),
            "group": GROUP,
            "resource": self.resource.plural,
            "name": name,
            "verb": verb,
        }
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = await self._transport.request(
            "create", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=body
        )
        return bool(answer["status"].get("allowed"))

    async def require(self, verb: str, *, namespace: str | None = None) -> None:
        """Raise Forbidden where the caller may not do `verb`: before a person is asked to confirm something."""
        place = await self._namespace(namespace)
        if not await self.may(verb, namespace=place):
            raise not_allowed(verb, self.resource, place)

    async def _namespace(self, namespace: str | None) -> str:
        return namespace or (await self._transport.opened()).namespace

    async def _request(
        self,
        verb: str,
        namespace: str | None,
        *,
        name: str = "",
        query: Mapping[str, Any] | None = None,
        body: Any = None,
    ) -> Json:
        path = f"{self._path(namespace)}/{quote(name, safe='')}" if name else self._path(namespace)
        return await self._transport.request(
            verb, path, resource=self.resource, namespace=namespace, query=query, body=body
        )

    def _path(self, namespace: str | None) -> str:
        where = f"namespaces/{namespace}/" if namespace else ""
        return f"/apis/{GROUP}/{VERSION}/{where}{self.resource.plural}"

    def _with_kind(self, item: Json) -> Json:
        """The items of a list have no apiVersion and kind of their own."""
        return {"apiVersion": API_VERSION, "kind": self.resource.kind, **item}

    def _typed(self, stored: Json) -> KindT:
        reading = read(self._model, stored)
        if reading.value is None:
            raise Unreadable(
                f"{self.resource.kind} {reading.metadata.name} cannot be read: {'; '.join(reading.problems)}. Use the "
                "version of this package that fits the custom resource definitions"
            )
        return reading.value


def _only(name: str) -> str:
    """The field selector for one name, which may be anything that a caller has written."""
    return "metadata.name=" + re.sub(r"([\\,=])", r"\\\1", name)


def has_finished(value: Any) -> bool:
    """Whether a TrainingRun or Rollout has ended: its condition Finished is True."""
    return any(
        condition.type == "Finished" and condition.status is ConditionStatus.TRUE
        for condition in value.status.conditions
    )
