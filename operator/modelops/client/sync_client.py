"""The client for ordinary code: the asyncio client on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.reading import KindT
from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.client.access import Access
from modelops.client.async_client import AsyncClient, User
from modelops.client.kinds import Event, Kind, Listing
from modelops.client.transport import REQUEST_SECONDS, Json

T = TypeVar("T")


class _Loop:
    """An event loop on a thread, so that the client also works where the caller's own loop runs (in a notebook)."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="modelops-client", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`. An interruption of the caller (Ctrl-C) cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class SyncKind(Generic[KindT]):
    """The operations of `Kind`, each of which returns when it is done."""

    def __init__(self, loop: _Loop, kind: Kind[KindT]) -> None:
        self._loop = loop
        self._kind: Kind[KindT] = kind
        self.resource = kind.resource

    def get(self, name: str, *, namespace: str | None = None) -> KindT:
        """See `Kind.get`."""
        return self._loop.run(self._kind.get(name, namespace=namespace))

    def get_stored(self, name: str, *, namespace: str | None = None) -> Json:
        """See `Kind.get_stored`."""
        return self._loop.run(self._kind.get_stored(name, namespace=namespace))

    def find(self, name: str, *, namespace: str | None = None) -> KindT | None:
        """See `Kind.find`."""
        return self._loop.run(self._kind.find(name, namespace=namespace))

    def list(
        self,
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        limit: int | None = None,
        page: str | None = None,
        every_namespace: bool = False,
    ) -> Listing[KindT]:
        """See `Kind.list`."""
        return self._loop.run(
            self._kind.list(
                namespace=namespace,
                label_selector=label_selector,
                field_selector=field_selector,
                limit=limit,
                page=page,
                every_namespace=every_namespace,
            )
        )

    def create(
        self,
        name: str,
        spec: Mapping[str, Any],
        *,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        dry_run: bool = False,
    ) -> KindT:
        """See `Kind.create`."""
        return self._loop.run(
            self._kind.create(
                name, spec, namespace=namespace, labels=labels, annotations=annotations, dry_run=dry_run
            )
        )

    def patch(
        self,
        name: str,
        change: Mapping[str, Any],
        *,
        namespace: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
        dry_run: bool = False,
    ) -> KindT:
        """See `Kind.patch`."""
        return self._loop.run(
            self._kind.patch(
                name,
                change,
                namespace=namespace,
                uid=uid,
                resource_version=resource_version,
                dry_run=dry_run,
            )
        )

    def delete(self, name: str, *, namespace: str | None = None, uid: str | None = None) -> None:
        """See `Kind.delete`."""
        self._loop.run(self._kind.delete(name, namespace=namespace, uid=uid))

    def watch(
        self, name: str | None = None, *, namespace: str | None = None, seen: Sequence[Json] = ()
    ) -> Generator[Event[KindT], None, None]:
        """See `Kind.watch`."""
        events = self._kind.watch(name, namespace=namespace, seen=seen)

        async def following() -> Event[KindT] | None:
            return await anext(events, None)

        async def closing() -> None:
            await events.aclose()

        try:
            while (event := self._loop.run(following())) is not None:
                yield event
        finally:
            self._loop.run(closing())

    def wait(
        self,
        name: str,
        condition: Callable[[KindT], bool],
        *,
        what: str,
        timeout: float,
        namespace: str | None = None,
        seen: Callable[[KindT], None] | None = None,
    ) -> KindT:
        """See `Kind.wait`."""
        return self._loop.run(
            self._kind.wait(name, condition, what=what, timeout=timeout, namespace=namespace, seen=seen)
        )

    def may(self, verb: str, *, name: str = "", namespace: str | None = None) -> bool:
        """See `Kind.may`."""
        return self._loop.run(self._kind.may(verb, name=name, namespace=namespace))

    def require(self, verb: str, *, namespace: str | None = None) -> None:
        """See `Kind.require`."""
        self._loop.run(self._kind.require(verb, namespace=namespace))


class Client:
    """A client of one cluster in the name of one caller; see `AsyncClient`.

    with Client() as client:
        for event in client.rollouts.watch():
            print(event.type, event.value.status.phase)
    """

    def __init__(self, access: Access | None = None, *, request_seconds: float = REQUEST_SECONDS) -> None:
        self._loop = _Loop()
        self._client = AsyncClient(access, request_seconds=request_seconds)
        self.agent_models: SyncKind[AgentModel] = SyncKind(self._loop, self._client.agent_models)
        self.training_runs: SyncKind[TrainingRun] = SyncKind(self._loop, self._client.training_runs)
        self.rollouts: SyncKind[Rollout] = SyncKind(self._loop, self._client.rollouts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and end the thread."""
        self._loop.run(self._client.close())
        self._loop.close()

    def namespace(self) -> str:
        """See `AsyncClient.namespace`."""
        return self._loop.run(self._client.namespace())

    def description(self) -> str:
        """See `AsyncClient.description`."""
        return self._loop.run(self._client.description())

    def whoami(self) -> User:
        """See `AsyncClient.whoami`."""
        return self._loop.run(self._client.whoami())

    def config_map(self, name: str, *, namespace: str | None = None) -> Json | None:
        """See `AsyncClient.config_map`."""
        return self._loop.run(self._client.config_map(name, namespace=namespace))

    def record(self, agent_model: str, *, namespace: str | None = None) -> Any:
        """See `AsyncClient.record`."""
        return self._loop.run(self._client.record(agent_model, namespace=namespace))
