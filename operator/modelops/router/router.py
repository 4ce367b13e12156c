"""The router: picks the model that serves a session, and counts the outcomes."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from modelops.router.clients import Connections
from modelops.router.current_routing import CurrentRouting
from modelops.router.evaluation_arm import ArmRoute, arm_in_force
from modelops.router.mounted_file import MountedFile
from modelops.router.reachability import CanaryCheck
from modelops.router.request import Request
from modelops.router.request_counters import RequestCounters
from modelops.router.route_picker import RoutePicker
from modelops.router.router_state import RouterState
from modelops.router.routing_table import CANARY, Route, RoutingTable
from modelops.router.session_counters import Session, SessionCounters
from modelops.router.watch_config import WatchConfig

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI
    from openai import AsyncOpenAI, OpenAI

    from modelops.router.api_watch import ApiWatch
    from modelops.router.pod_processes import PodProcesses
    from modelops.router.reporter import Reporter

FILE_POLL_SECONDS = 1.0
_CLOSE_SECONDS = 3.0
_MAX_PROBLEM_CHARACTERS = 500
_T = TypeVar("_T")


class NoConfiguration(LookupError):
    """`pick` was called before a source could be read, and there is no `default`."""


class Router:
    """Picks stable or canary for one agent, from agents.yaml. Thread-safe, and survives `os.fork`.

    `file` is the mounted agents.yaml (default: `MODELOPS_AGENTS_FILE`). `watch` is a `WatchConfig`, None, or
    "auto": the Pod's service account with `MODELOPS_CONFIGMAP`. `report_url` defaults to `MODELOPS_REPORT_URL`,
    and `report_token` to `MODELOPS_REPORT_TOKEN` or the content of `MODELOPS_REPORT_TOKEN_FILE`. `default` is
    used until a source could be read. `clock` returns seconds since the epoch; it decides when a canary that
    the operator no longer renews has expired.

    The file is read before the constructor returns; everything else runs in daemon threads. Invalid configuration
    never raises: the last valid one stays, and `state().config_errors` counts it.
    """

    def __init__(
        self,
        agent: str,
        *,
        file: str | os.PathLike[str] | None = None,
        watch: WatchConfig | Literal["auto"] | None = "auto",
        report_url: str | None = None,
        report_token: str | None = None,
        default: Route | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.agent = agent
        self._clock = clock
        self._file = file or os.environ.get("MODELOPS_AGENTS_FILE")
        self._watch_config = WatchConfig.in_cluster() if watch == "auto" else watch
        self._report_url = report_url or os.environ.get("MODELOPS_REPORT_URL")
        self._report_token = report_token
        self._default = RoutingTable(stable=default) if default else None
        self._start()
        if hasattr(os, "register_at_fork"):
            this = weakref.ref(self)
            os.register_at_fork(after_in_child=lambda: _restart_in_child(this()))

    def _start(self) -> None:
        self._stopped = threading.Event()
        self._process = f"{os.uname().nodename}-{os.getpid()}-{os.urandom(3).hex()}"
        self._picker: RoutePicker | None = None
        self._generation = -1
        self._applied: RoutingTable | None = None
        self._expired_salt = ""
        self._counters = RequestCounters()
        self._sessions = SessionCounters()
        self._reporter: Reporter | None = None
        self._pod_processes: PodProcesses | None = None
        self._connections = Connections()
        self._canary_check = CanaryCheck(self._report_soon, self._stopped)
        mounted = MountedFile(self._file) if self._file else None
        self._file_never_changes = bool(mounted and not self._watch_config and mounted.never_changes())
        self._routing = CurrentRouting(
            self.agent,
            file=mounted,
            default=self._default,
            on_change=self._apply_table,
        )
        self._routing.read_file()
        self._threads = [_daemon("canary-check", self._canary_check.run)]
        if self._file:
            self._threads.append(_daemon("file", self._poll_file))
        self._start_watch()
        self._start_reports()

    def _start_watch(self) -> None:
        self._watch: ApiWatch | None = None
        if self._watch_config:
            from modelops.router.api_watch import ApiWatch

            self._watch = ApiWatch(self._watch_config, self._routing, self._stopped)
            self._threads.append(_daemon("watch", self._watch.run))

    def _start_reports(self) -> None:
        if self._report_url:
            from modelops.router.pod_processes import PodProcesses, shared_folder
            from modelops.router.reporter import Reporter, report_at_exit

            folder = shared_folder(self.agent, _pod_name(), self._report_url)
            self._pod_processes = PodProcesses(folder, self._process)
            self._reporter = Reporter(
                self._report_url,
                token=self._report_token,
                report=self._report_body,
                on_answer=self._sessions.set_limits,
                on_sent=self._report_sent,
                stopped=self._stopped,
            )
            thread = _daemon("reports", self._reporter.run)
            self._threads.append(thread)
            report_at_exit(self._reporter, thread)

    def pick(self, session_key: object) -> Route:
        """The route of a session. It is the same for the same key while the routing does not change.

        A key that is not text counts as its text: 0 and "0" are the same key. Without a key (None or empty) each
        request is a separate session, and `unkeyed` counts it. Raises NoConfiguration only before a source could be
        read.

        Inside `evaluation_arm` it is the route of the evaluation. Raises CallsExhausted where that allows no more.
        """
        arm = arm_in_force(self.agent)
        if arm is not None:
            arm.require_call()
            return arm.route
        picker = self._picker
        if picker is None:
            raise NoConfiguration(self._no_configuration_message())
        key = "" if session_key is None else str(session_key)
        if not key:
            route = picker.route_without_key(self._clock())
            self._counters.count_unkeyed_request(route.track)
            return route
        route = picker.route(key, self._clock())
        self._counters.count_session(route.track, key)
        return route

    def observe(
        self,
        route: Route,
        *,
        ok: bool,
        latency_ms: float,
        tokens: int | None = 0,
        cost_micro_usd: int | None = 0,
        fallback: bool = False,
        session_key: object = None,
        model: str | None = None,
    ) -> None:
        """Counts one finished request. `fallback`: stable had to answer instead of this route.

        `session_key`: the session that the request belongs to, as it was given to `pick`. Without it the request
        counts as a session of its own, so that the failures of one session look like those of several. `model`: the
        name in the model's own answer; an evaluation compares it with the model that it asked for.
        """
        self._observe(
            route,
            ok=ok,
            latency_ms=latency_ms,
            tokens=tokens,
            cost_micro_usd=cost_micro_usd,
            fallback=fallback,
            model=model,
            session=self._begin(route, session_key),
        )

    def _begin(self, route: Route, session_key: object) -> Session | None:
        """The session of a request; None where the request is one of an evaluation."""
        return (
            None if isinstance(route, ArmRoute) else self._sessions.begin(route, session_key, self._clock())
        )

    def _observe(
        self,
        route: Route,
        *,
        ok: bool,
        latency_ms: float,
        tokens: int | None,
        cost_micro_usd: int | None,
        fallback: bool,
        model: str | None,
        session: Session | None,
    ) -> None:
        if isinstance(route, ArmRoute):
            route.arm.count(ok=ok, tokens=tokens, cost_micro_usd=cost_micro_usd, model=model)
            return
        if session is not None:
            self._sessions.finish(session, ok=ok and not fallback, latency_ms=latency_ms)
        self._counters.observe(
            route,
            ok=ok,
            latency_ms=latency_ms,
            tokens=tokens,
            cost_micro_usd=cost_micro_usd,
            fallback=fallback,
        )
        if route.track == CANARY and (fallback or not ok):
            self._canary_check.check_again()
            if self._reporter:
                self._reporter.report_canary_failure()

    def request(self, session_key: object) -> Request:
        """Picks a route; `with router.request(key) as request:` also measures and counts the request."""
        return self._request(self.pick(session_key), session_key)

    def call(self, session_key: object, send: Callable[[Request], _T], *, fallback: bool = False) -> _T:
        """Sends a request with `send` and counts it. With `fallback`, a failure on the canary is repeated on stable.

        `send` returns the whole answer. Raises TypeError where it returns a coroutine or a generator: its request has
        not been sent yet, so whether it fails could not be counted.
        """
        route = self.pick(session_key)
        if fallback and route.track == CANARY:
            try:
                with self._request(route, session_key) as request:
                    request.fallback = True
                    answer = _whole(send(request))
                    request.fallback = not request.ok
                    if request.ok:
                        return answer
            except Exception:  # noqa: BLE001 - after any failure of the canary, stable is called
                pass
            with self._helping_request() as request:
                return _whole(send(request))
        with self._request(route, session_key) as request:
            return _whole(send(request))

    def _request(self, route: Route, session_key: object) -> Request:
        return Request(
            route,
            observe=self._observe,
            session=self._begin(route, session_key),
        )

    def _helping_request(self) -> Request:
        """Stable helps out: the session stays the canary's, and this answer says nothing of it."""
        if self._picker is None:
            raise NoConfiguration(self._no_configuration_message())
        stable = self._picker.stable
        return Request(stable, observe=self._observe, session=Session(stable.track, None, None))

    def openai(self, session_key: object, *, fallback: bool = True, **options: Any) -> OpenAI:
        """A client of the package `openai` for one session: each of its requests is routed and counted.

        `fallback`: stable answers once where the canary fails before its first token. `options` are those of
        `openai.OpenAI`, but for the address and the key, which are the route's. It tries once unless `max_retries` says
        otherwise; each retry is counted as a request. Raises ImportError without the package.
        """
        from modelops.router.clients.openai_clients import routed_client

        return routed_client(self, self._connections, session_key, fallback=fallback, **options)

    def async_openai(self, session_key: object, *, fallback: bool = True, **options: Any) -> AsyncOpenAI:
        """`openai` for asyncio."""
        from modelops.router.clients.openai_clients import routed_async_client

        return routed_async_client(self, self._connections, session_key, fallback=fallback, **options)

    def chat_model(self, session_key: object, *, fallback: bool = True, **options: Any) -> ChatOpenAI:
        """A chat model of the package `langchain-openai` for one session, by the clients of `openai`.

        `options` are those of `ChatOpenAI`. Raises ImportError without the package.
        """
        from modelops.router.clients.chat_model import routed_chat_model

        return routed_chat_model(self, self._connections, session_key, fallback=fallback, **options)

    def run_metadata(self, session_key: object) -> dict[str, str]:
        """Metadata for the run of a session in LangSmith: agent, version and track, as a rollout's analysis reads them.

        The clients here mark the runs of the model and those above it that they can find; give this to the root of a
        deeper trace.
        """
        from modelops.router.clients.tracing import run_metadata

        return run_metadata(self.agent, self.pick(session_key))

    def state(self) -> RouterState:
        """The current state of this router."""
        routing, reporter, table = self._routing, self._reporter, self._applied
        return RouterState(
            agent=self.agent,
            process=self._process,
            source=routing.source,
            watch_live=routing.watch_live,
            generation=table.generation if table else 0,
            weight=table.weight if table else 0,
            canary_reachable=self._canary_check.reachable,
            canary_error=self._canary_check.error,
            config_errors=routing.errors,
            last_error=routing.last_error,
            watch_losses=routing.watch_losses,
            unkeyed=self._counters.unkeyed,
            reports_sent=reporter.sent if reporter else 0,
            reports_failed=reporter.failed if reporter else 0,
        )

    def wait_ready(self, timeout: float) -> bool:
        """Waits up to `timeout` seconds until `pick` has a configuration; returns whether it has."""
        return self._routing.ready.wait(timeout)

    def close(self) -> None:
        """Sends a last report and ends the threads; waits at most 3 s. `pick` still works afterwards."""
        self._stopped.set()
        self._canary_check.wake()
        if self._watch:
            self._watch.close()
        self._report_soon()
        self._connections.close()
        deadline = time.monotonic() + _CLOSE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _apply_table(self, table: RoutingTable) -> None:
        """Applies a table. A canary that has expired in this process is not taken up again under the same salt.

        Its sessions went back to stable, and would move once more. The generation is confirmed with weight 0.
        """
        before = self._applied
        if before is not None and before.canary_buckets and self._clock() >= before.canary_until:
            self._expired_salt = before.salt
        if table.salt and table.salt == self._expired_salt:
            table = table._replace(canary=None, weight=0)
        self._applied = table
        self._counters.start_salt(table.salt)
        self._sessions.start_table(table)
        self._picker = RoutePicker(table, previous=self._picker)
        self._canary_check.set_canary(table.canary)
        if table.generation != self._generation:
            self._generation = table.generation
            self._report_soon()

    def _poll_file(self) -> None:
        while not self._stopped.wait(FILE_POLL_SECONDS):
            self._routing.read_file()

    def _report_soon(self) -> None:
        if self._reporter:
            self._reporter.report_soon()

    def _report_sent(self) -> None:
        if self._pod_processes is not None:
            self._pod_processes.forget_named()
            if self._stopped.is_set():
                self._pod_processes.leave()

    def _report_body(self) -> dict[str, Any]:
        problem = self._routing.problem
        return {
            "agent": self.agent,
            "process": self._process,
            "pod": _pod_name(),
            "generation": max(0, self._generation),
            "canaryReachable": self._canary_check.reachable,
            "canaryError": self._canary_check.error,
            "configErrors": self._routing.errors,
            "configError": problem[:_MAX_PROBLEM_CHARACTERS] if problem else None,
            "fileNeverChanges": self._file_never_changes,
            "leaving": self._stopped.is_set(),
            "ended": self._pod_processes.ended() if self._pod_processes else [],
            "models": self._counters.models_in_use(self._possible_routes()),
            **self._counters.as_report(),
            "sessions": self._sessions.as_report(self._clock()),
        }

    def _possible_routes(self) -> list[Route]:
        """The routes that a request may get now."""
        table = self._applied
        if table is None:
            return []
        canary = table.canary if table.canary_buckets and self._clock() < table.canary_until else None
        return [table.stable, *([canary] if canary else [])]

    def _stable_model(self) -> str | None:
        """The name of the stable model at its endpoint; None before a source could be read."""
        return self._picker.stable.served_model if self._picker else None

    def _no_configuration_message(self) -> str:
        reason = self._routing.last_error or "no source could be read yet"
        return (
            f"agent {self.agent!r} has no configuration: {reason}; call wait_ready() first, or pass a default"
        )


def _whole(answer: _T) -> _T:
    """The answer of `send`. Raises TypeError where it is still to be awaited or iterated."""
    if not isinstance(answer, Awaitable | Generator | AsyncGenerator):
        return answer
    kind = type(answer).__name__
    if isinstance(answer, Coroutine | Generator):
        answer.close()
    part = "await the answer" if isinstance(answer, Awaitable) else "iterate over the answer"
    raise TypeError(
        f"router.call got a {kind} from send, so the request is not finished and cannot be counted: {part} inside "
        "`with router.request(session_key) as request:` instead"
    )


def _pod_name() -> str:
    """`POD_NAME` (downward API); else the host name, if this is a Pod; else empty."""
    environ = os.environ
    host = environ.get("HOSTNAME", "") if environ.get("KUBERNETES_SERVICE_HOST") else ""
    return environ.get("POD_NAME") or host


def _daemon(name: str, body: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=body, name=f"modelops-router-{name}", daemon=True)
    thread.start()
    return thread


def _restart_in_child(router: Router | None) -> None:
    """Starts the router again in a forked child: it has no threads, and it inherits locks and counters."""
    if router is not None and not router._stopped.is_set():
        router._start()
