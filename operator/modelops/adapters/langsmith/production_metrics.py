"""Numbers of an agent's production runs by the version that answered, for the analysis of a canary.

The SDK blocks, so it is called in a few threads of its own.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Final

from modelops.adapters.langsmith.connection import LangSmithConnection
from modelops.adapters.langsmith.errors import LangSmithError, NotFound
from modelops.adapters.langsmith.runs import RunOutcome, list_outcomes
from modelops.ports import LangSmithQuestion, MetricQuestion, Refused, Unavailable

if TYPE_CHECKING:
    from langsmith import Client

THREADS: Final = 4
MOST_RUNS: Final = 1000
CALL_SECONDS: Final = 15.0
MOST_CLIENTS: Final = 32
"""Clients that are kept, one for each key: each first asks which version the server has."""


class LangSmithMetrics:
    """`ports.MetricProvider` over the SDK's client."""

    def __init__(self, api_url: str) -> None:
        self._api_url = api_url
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="langsmith-metrics")
        self._clients: dict[str, Client] = {}
        self._lock = Lock()

    async def measure(self, question: MetricQuestion) -> float:
        """The number of the newest runs. Raises Unavailable or Refused."""
        assert isinstance(question, LangSmithQuestion)
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, self._measured, question)
        except NotFound:
            raise Refused(
                f"LangSmith has no project {question.project!r}: correct spec.langsmith.project of the AgentModel"
            ) from None
        except LangSmithError as error:
            raise (Unavailable if error.transient else Refused)(str(error)) from None

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for client in self._clients.values():
            client.close(timeout=0)
        self._clients.clear()

    def _measured(self, question: LangSmithQuestion) -> float:
        with self._lock:  # The first client imports the SDK, which takes a second.
            client = self._client(question.key)
        since = datetime.now(UTC) - timedelta(seconds=question.window_seconds)
        of_version = (question.version_key, question.version)
        found = list_outcomes(client, question.project, since=since, metadata=of_version, limit=MOST_RUNS)
        return value_of(tuple(found), question)

    def _client(self, key: str) -> Client:
        if key not in self._clients:
            while len(self._clients) >= MOST_CLIENTS:
                self._clients.pop(next(iter(self._clients)))  # A thread may still use it.
            connection = LangSmithConnection(
                api_url=self._api_url,
                api_key=key,
                read_seconds=CALL_SECONDS,
                attempts=1,
                call_seconds=CALL_SECONDS,
            )
            self._clients[key] = connection.client()
        return self._clients[key]


def value_of(runs: Sequence[RunOutcome], question: LangSmithQuestion) -> float:
    """The measure of these runs. Raises Refused where too few of them have it."""
    ended = [run for run in runs if run.seconds is not None or run.failed]
    match question.measure:
        case "errorRate":
            return _of(ended, question, lambda found: sum(run.failed for run in found) / len(found))
        case "latencyP50" | "latencyP95":
            share = 0.5 if question.measure == "latencyP50" else 0.95
            timed = [run for run in ended if run.seconds is not None and not run.failed]
            return _of(timed, question, lambda found: _percentile(found, share))
        case "costPerRun":
            billed = [run for run in ended if run.usd is not None]
            return _of(billed, question, lambda found: float(sum(run.usd or 0 for run in found)) / len(found))
        case "feedback":
            return _feedback(runs, question)
        case _:
            raise Refused(f"measure {question.measure!r} is not known to this operator: update it")


def _of(
    runs: Sequence[RunOutcome],
    question: LangSmithQuestion,
    measured: Callable[[Sequence[RunOutcome]], float],
    *,
    what: str = "",
) -> float:
    if len(runs) < question.min_runs:
        raise Refused(_too_few(len(runs), question, what=what))
    return measured(runs)


def _feedback(runs: Sequence[RunOutcome], question: LangSmithQuestion) -> float:
    """The mean of the runs' mean scores. Feedback without a finite score is none."""
    means = []
    for run in runs:
        stats = run.feedback_stats.get(question.feedback_key)
        mean = stats.get("avg") if isinstance(stats, dict) else None
        if isinstance(mean, int | float) and math.isfinite(mean):
            means.append(float(mean))
    if len(means) < question.min_runs:
        raise Refused(_too_few(len(means), question, what=f" with feedback {question.feedback_key!r}"))
    return math.fsum(means) / len(means)


def _percentile(runs: Sequence[RunOutcome], share: float) -> float:
    """In milliseconds; nearest rank."""
    ordered = sorted(run.seconds or 0.0 for run in runs)
    return 1000 * ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _too_few(found: int, question: LangSmithQuestion, *, what: str) -> str:
    if question.measure == "costPerRun":
        what = " with a known cost"
    return (
        f"no data: project {question.project!r} has {found} of at least {question.min_runs} runs{what} in the last "
        f"{question.window_seconds} s whose metadata has {question.version_key}={question.version}. With fewer "
        "requests set a larger windowSeconds or a smaller minRuns; if there are enough, the agent's traces do not have "
        "this metadata"
    )
