"""Best-effort traces of the operator's actions. They never block or fail the operator, and are not the audit log.

    traces = ActionTraces(LangSmithConnection(api_url=..., api_key=...), project="modelops-operator")
    traces.record("reserve", kind="TrainingRun", namespace="team-a", name="docs-2", uid=uid, agent="docs",
                  inputs={"attempt": 1}, outputs={"reservedMicroUSD": 900000}, started=began, ended=now)
    ...
    traces.close(timeout=3.0)

`record` copies the values into a bounded queue (microseconds, no I/O). One daemon thread owns the SDK's
client and posts root runs in batches. While LangSmith is down, the batch is tried again and newer actions
wait; when the queue is full, they are dropped. Runs that LangSmith refuses are discarded. All of these are
counted. The audit log is status, Events and the log lines.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from modelops.adapters.langsmith.actions import Action, trace_run
from modelops.adapters.langsmith.connection import LangSmithConnection
from modelops.adapters.langsmith.errors import LangSmithError, translated_errors
from modelops.adapters.langsmith.redaction import redacted
from modelops.adapters.langsmith.wire import JsonValue, post_runs

if TYPE_CHECKING:
    from langsmith import Client

_MAX_BATCH: Final = 100
"""Runs in one request."""
_LINGER_SECONDS: Final = 0.25
"""How long the thread waits for further actions after the first one of a batch."""
_CALL_SECONDS: Final = 30.0
"""The end of a request by the clock."""
_BACKOFF_SECONDS: Final = (1.0, 2.0, 5.0, 15.0, 30.0)
"""Pauses after one, two, ... failed requests in a row."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TraceCounts:
    """The numbers of recorded actions by outcome. Other actions still wait.

    `sent`: LangSmith accepted them. `dropped`: the queue was full, or the traces were closed. `failed`: LangSmith
    refused them, or was down when the traces were closed.
    """

    sent: int = 0
    dropped: int = 0
    failed: int = 0


class ActionTraces:
    """Sends actions to one LangSmith project.

    At most `capacity` actions wait, each of limited size (`redaction`): with the default less than 20 MB at most,
    and usually less than 1 MB. The thread starts with the first action; only the thread imports the SDK.
    """

    def __init__(
        self, connection: LangSmithConnection, *, project: str = "modelops-operator", capacity: int = 1000
    ) -> None:
        # One attempt with short timeouts: the thread itself repeats the batch.
        self._connection = replace(
            connection, connect_seconds=3.0, read_seconds=10.0, attempts=1, call_seconds=_CALL_SECONDS
        )
        self._project = project
        self._queue: queue.Queue[Action | None] = queue.Queue(maxsize=capacity)
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._client: Client | None = None
        self._counts = TraceCounts()
        self._last_error_type: type[LangSmithError] | None = None

    @property
    def counts(self) -> TraceCounts:
        """The numbers of actions by outcome, so far."""
        with self._lock:
            return self._counts

    def record(
        self,
        action: str,
        *,
        kind: str,
        namespace: str,
        name: str,
        uid: str,
        agent: str,
        inputs: Mapping[str, JsonValue],
        outputs: Mapping[str, JsonValue],
        started: float,
        ended: float,
        tags: Sequence[str] = (),
        error: str | None = None,
    ) -> None:
        """Records one action of the operator on the object (kind, namespace, name, uid). Never blocks or raises.

        Values are cut to a limited size, and texts that look like secrets are replaced. The action is dropped
        and counted where `capacity` actions already wait.
        """
        if self._closing.is_set():
            self._count(dropped=1)
            return
        noted = Action(
            action=action,
            kind=kind,
            namespace=namespace,
            name=name,
            uid=uid,
            agent=agent,
            inputs=redacted(inputs),
            outputs=redacted(outputs),
            started=started,
            ended=ended,
            tags=tuple(tags),
            error=str(redacted({"error": error})["error"]) if error else None,
        )
        try:
            self._queue.put_nowait(noted)
        except queue.Full:
            self._count(dropped=1)
            return
        if self._thread is None:
            self._start_thread()

    def action(
        self,
        action: str,
        *,
        kind: str,
        namespace: str,
        name: str,
        uid: str,
        agent: str,
        outputs: Mapping[str, Any],
    ) -> None:
        """Records an action that has just ended (`ports.Traces`)."""
        now = time.time()
        self.record(
            action,
            kind=kind,
            namespace=namespace,
            name=name,
            uid=uid,
            agent=agent,
            inputs={},
            outputs=outputs,
            started=now,
            ended=now,
        )

    def close(self, timeout: float = 3.0) -> None:
        """Sends the waiting actions for at most `timeout` seconds; the rest counts as dropped.

        Returns within that time even if LangSmith does not answer. It blocks, so call it in a thread. Calling it
        again is harmless.
        """
        self._closing.set()
        thread = self._thread
        if thread is not None and thread.is_alive():
            self._wake_thread()
            thread.join(timeout)
        self._drop_waiting()
        self._wake_thread()

    def _start_thread(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._send_batches, name="langsmith-traces", daemon=True
                )
                self._thread.start()

    def _wake_thread(self) -> None:
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return

    def _send_batches(self) -> None:
        batch: list[dict[str, JsonValue]] = []
        failures = 0
        while batch or not (self._closing.is_set() and self._queue.empty()):
            batch = batch or [trace_run(action, self._project) for action in self._next_batch()]
            if not batch:
                continue
            error = self._post_batch(batch)
            if error is None:
                self._count(sent=len(batch))
                batch, failures = [], 0
                continue
            failures += 1
            if not error.transient:
                self._count(failed=len(batch))
                batch = []
            if self._closing.wait(_BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS)) - 1]):
                # LangSmith is down and the traces are closed: another try would only delay the end.
                self._count(failed=len(batch))
                break
        if self._client is not None:
            self._client.close(timeout=0)

    def _next_batch(self) -> list[Action]:
        first = self._queue.get()
        batch = [first] if first is not None else []
        deadline = time.monotonic() + _LINGER_SECONDS
        while len(batch) < _MAX_BATCH:
            wait = 0.0 if self._closing.is_set() else deadline - time.monotonic()
            try:
                following = self._queue.get(timeout=wait) if wait > 0 else self._queue.get_nowait()
            except queue.Empty:
                break
            if following is not None:
                batch.append(following)
        return batch

    def _post_batch(self, runs: Sequence[Mapping[str, JsonValue]]) -> LangSmithError | None:
        try:
            with translated_errors(doing="recording the operator's actions", url=self._connection.api_url):
                self._client = self._client or self._connection.client()
                post_runs(self._client, runs)
        except LangSmithError as error:
            self._log_if_new(error)
            return error
        except Exception as error:  # noqa: BLE001 - traces must survive every error; it is counted and logged
            unexpected = LangSmithError(
                f"unexpected {type(error).__name__} while recording the operator's actions."
            )
            self._log_if_new(unexpected)
            return unexpected
        self._last_error_type = None
        return None

    def _log_if_new(self, error: LangSmithError) -> None:
        """Logs a line when the kind of error changes, not one for each batch."""
        if type(error) is not self._last_error_type:
            self._last_error_type = type(error)
            logger.warning("the operator's actions are not traced: %s", error)

    def _drop_waiting(self) -> None:
        while True:
            try:
                waiting = self._queue.get_nowait()
            except queue.Empty:
                return
            if waiting is not None:
                self._count(dropped=1)

    def _count(self, *, sent: int = 0, dropped: int = 0, failed: int = 0) -> None:
        with self._lock:
            now = self._counts
            self._counts = TraceCounts(now.sent + sent, now.dropped + dropped, now.failed + failed)
