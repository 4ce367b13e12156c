"""What can be seen of the story with kubectl: watches of the three kinds and of the agents' file."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from kubernetes import client, config, watch

from modelops.api.v1alpha1.names import AGENT_MODELS, GROUP, RESOURCES, ROLLOUTS, TRAINING_RUNS, VERSION

Json = dict[str, Any]
CONFIG_MAP = "ConfigMap"
_AGAIN_SECONDS = 0.5
_WATCH_SECONDS = 300
_END_SECONDS = 2.0


class Facts:
    """The newest state of every object of one namespace. `changed` is notified after each event."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        connect: Callable[[str], Any] = config.new_client_from_config
        self._api = connect(str(kubeconfig))
        self._namespace = namespace
        self._objects: dict[tuple[str, str], Json] = {}
        self._ended = threading.Event()
        self._streams: dict[str, Any] = {}
        self.changed = threading.Condition()
        self.file_changes: list[tuple[float, str]] = []
        """When the agents' file changed, by our clock, and its text."""

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watches for the time of the block."""
        threads = [
            threading.Thread(target=self._follow, args=(kind, listing), name=f"watch {kind}", daemon=True)
            for kind, listing in self._listings()
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._end(threads)

    def _end(self, threads: Sequence[threading.Thread]) -> None:
        """A thread that still reads when the interpreter ends can take the process down with it."""
        self._ended.set()
        for stream in list(self._streams.values()):
            with suppress(Exception):  # it has ended by itself
                stream.shutdown()
        for thread in threads:
            thread.join(_END_SECONDS)

    def agent_model(self, name: str) -> Json:
        return self._get(AGENT_MODELS.kind, name)

    def training_run(self, name: str) -> Json:
        return self._get(TRAINING_RUNS.kind, name)

    def rollout(self, name: str) -> Json:
        return self._get(ROLLOUTS.kind, name)

    def config_map(self, name: str) -> Json:
        return self._get(CONFIG_MAP, name)

    def _get(self, kind: str, name: str) -> Json:
        """The object, or an empty one."""
        return self._objects.get((kind, name), {})

    def _listings(self) -> Iterator[tuple[str, Callable[..., Any]]]:
        custom, core = client.CustomObjectsApi(self._api), client.CoreV1Api(self._api)
        for resource in RESOURCES:

            def listed(*, plural: str = resource.plural, **options: Any) -> Any:
                return custom.list_namespaced_custom_object(
                    GROUP, VERSION, self._namespace, plural, **options
                )

            yield resource.kind, listed

        def config_maps(**options: Any) -> Any:
            return core.list_namespaced_config_map(self._namespace, **options)

        yield CONFIG_MAP, config_maps

    def _follow(self, kind: str, listing: Callable[..., Any]) -> None:
        make: Callable[[], Any] = watch.Watch

        def opened(**options: Any) -> Any:
            stream = self._streams[kind] = listing(**options)
            return stream

        while not self._ended.is_set():
            try:
                for event in make().stream(opened, timeout_seconds=_WATCH_SECONDS):
                    if self._ended.is_set():
                        return
                    self._take(kind, cast(str, event["type"]), cast(Json, event["raw_object"]))
            except Exception:  # noqa: BLE001 - a watch ends for many reasons; another one starts from a fresh list
                self._ended.wait(_AGAIN_SECONDS)

    def _take(self, kind: str, type_: str, item: Json) -> None:
        name = item["metadata"]["name"]
        with self.changed:
            if type_ == "DELETED":
                self._objects.pop((kind, name), None)
            else:
                if kind == CONFIG_MAP and name == "agents":
                    self.file_changes.append((time.time(), item["data"]["agents.yaml"]))
                self._objects[kind, name] = item
            self.changed.notify_all()
