"""Watches of everything that the demo shows: the three custom resources and the agents' file."""

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
_RETRY_SECONDS = 0.5
_WATCH_SECONDS = 300
_JOIN_SECONDS = 2.0


class ClusterWatch:
    """A cache of the objects of one namespace. The condition `changed` is notified after each event."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        connect: Callable[[str], Any] = config.new_client_from_config
        self._api = connect(str(kubeconfig))
        self._namespace = namespace
        self._objects: dict[tuple[str, str], Json] = {}
        self._stopped = threading.Event()
        self._streams: dict[str, Any] = {}
        self.changed = threading.Condition()
        self.file_changes: list[tuple[float, str]] = []
        """Each version of the agents' file: the Unix time at which this process received it, and its text."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Keep the watches open for the length of a `with` block."""
        threads = [
            threading.Thread(target=self._watch_kind, args=(kind, listing), name=f"watch {kind}", daemon=True)
            for kind, listing in self._listings()
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop(threads)

    def _stop(self, threads: Sequence[threading.Thread]) -> None:
        """Stop the watch threads: one that still reads when the interpreter exits can crash the process."""
        self._stopped.set()
        for stream in list(self._streams.values()):
            with suppress(Exception):  # the stream has already ended
                stream.shutdown()
        for thread in threads:
            thread.join(_JOIN_SECONDS)

    def agent_model(self, name: str) -> Json:
        return self._get(AGENT_MODELS.kind, name)

    def training_run(self, name: str) -> Json:
        return self._get(TRAINING_RUNS.kind, name)

    def rollout(self, name: str) -> Json:
        return self._get(ROLLOUTS.kind, name)

    def config_map(self, name: str) -> Json:
        return self._get(CONFIG_MAP, name)

    def _get(self, kind: str, name: str) -> Json:
        """Return the object, or an empty one."""
        return self._objects.get((kind, name), {})

    def _listings(self) -> Iterator[tuple[str, Callable[..., Any]]]:
        custom, core = client.CustomObjectsApi(self._api), client.CoreV1Api(self._api)
        for resource in RESOURCES:

            def list_objects(*, plural: str = resource.plural, **options: Any) -> Any:
                return custom.list_namespaced_custom_object(
                    GROUP, VERSION, self._namespace, plural, **options
                )

            yield resource.kind, list_objects

        def list_config_maps(**options: Any) -> Any:
            return core.list_namespaced_config_map(self._namespace, **options)

        yield CONFIG_MAP, list_config_maps

    def _watch_kind(self, kind: str, listing: Callable[..., Any]) -> None:
        make: Callable[[], Any] = watch.Watch

        def open_stream(**options: Any) -> Any:
            stream = self._streams[kind] = listing(**options)
            return stream

        while not self._stopped.is_set():
            try:
                for event in make().stream(open_stream, timeout_seconds=_WATCH_SECONDS):
                    if self._stopped.is_set():
                        return
                    self._apply_event(kind, cast(str, event["type"]), cast(Json, event["raw_object"]))
            except Exception:  # noqa: BLE001 - a watch can end for many reasons; the next one lists the objects again
                self._stopped.wait(_RETRY_SECONDS)

    def _apply_event(self, kind: str, type_: str, item: Json) -> None:
        name = item["metadata"]["name"]
        with self.changed:
            if type_ == "DELETED":
                self._objects.pop((kind, name), None)
            else:
                if kind == CONFIG_MAP and name == "agents":
                    self.file_changes.append((time.time(), item["data"]["agents.yaml"]))
                self._objects[kind, name] = item
            self.changed.notify_all()
