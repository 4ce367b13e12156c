"""Answers of metric providers for all rollouts: asked beside the engine's work, few at a time, once for all who ask.

A decision never waits for a provider. It gets the answer that is there, or learns that one was asked for; then the
rollouts that asked are reconciled when it comes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from modelops.ports import Clock, MetricProvider, MetricQuestion, PrometheusQuestion, Refused, Unavailable

_log = logging.getLogger(__name__)

CONCURRENT: Final = 8
"""Questions that are asked at the same time, over all rollouts."""
DOWN_AFTER: Final = 3
"""Failures of one service in a row after which it counts as down."""
DOWN_SECONDS: Final = 5.0
"""How long a service that is down is not asked. What waits for it gets the last failure at once."""
LONGEST_SECONDS: Final = 60.0
"""An answer that takes longer is given up, whatever the provider's own limits are."""
FORGET_SECONDS: Final = 900.0
"""How long an answer is kept that nobody asks for."""

Asker = tuple[str, str]
"""Namespace and name of a Rollout."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`at` is the time at which it was asked for; `problem` says why there is no value."""

    at: datetime
    value: float | None = None
    problem: str = ""


@dataclass(slots=True)
class _Question:
    answer: Answer | None = None
    task: asyncio.Task[None] | None = None
    askers: set[Asker] = field(default_factory=set)
    used_at: float = 0.0


@dataclass(slots=True)
class _Service:
    failures: int = 0
    down_until: float = float("-inf")
    problem: str = ""


class MetricAnswers:
    """The newest answer to each question. Call everything on the event loop."""

    def __init__(
        self,
        *,
        prometheus: MetricProvider,
        langsmith: MetricProvider,
        clock: Clock,
        changed: Callable[[Asker], None],
        concurrent: int = CONCURRENT,
    ) -> None:
        self._prometheus, self._langsmith = prometheus, langsmith
        self._clock, self._changed = clock, changed
        self._free = asyncio.Semaphore(concurrent)
        self._questions: dict[MetricQuestion, _Question] = {}
        self._services: dict[tuple[str, str], _Service] = {}
        self._forgot_at = 0.0

    def answer(self, question: MetricQuestion, *, since: datetime, asker: Asker) -> Answer | None:
        """The answer of a question that was asked at `since` or later; None: it is being asked."""
        now = self._clock.monotonic()
        self._forget(now)
        known = self._questions.setdefault(question, _Question())
        known.used_at = now
        if known.answer is not None and known.answer.at >= since:
            return known.answer
        known.askers.add(asker)
        if known.task is None:
            known.task = asyncio.create_task(self._ask(question, known))
        return None

    async def close(self) -> None:
        """Ends the questions that are being asked, and the providers."""
        tasks = [known.task for known in self._questions.values() if known.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._prometheus.close()
        await self._langsmith.close()

    async def _ask(self, question: MetricQuestion, known: _Question) -> None:
        try:
            async with self._free:
                known.answer = await self._answer_of(question)
        finally:
            known.task = None
        askers, known.askers = known.askers, set()
        for asker in sorted(askers):
            self._changed(asker)

    async def _answer_of(self, question: MetricQuestion) -> Answer:
        at, service = self._clock.now(), self._service(question)
        if self._clock.monotonic() < service.down_until:
            return Answer(at=at, problem=service.problem)
        provider = self._prometheus if isinstance(question, PrometheusQuestion) else self._langsmith
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                value = await provider.measure(question)
        except Refused as error:
            service.failures = 0
            return Answer(at=at, problem=str(error))
        except (Unavailable, TimeoutError) as error:
            late = f"{question.service} has not answered in {LONGEST_SECONDS:g} s"
            problem = str(error) or late
            service.failures, service.problem = service.failures + 1, problem
            if service.failures >= DOWN_AFTER:
                service.down_until = self._clock.monotonic() + DOWN_SECONDS
            return Answer(at=at, problem=problem)
        except Exception as error:  # noqa: BLE001 - The edge of the task: a fault is an error of this metric alone.
            _log.exception("asking %s failed", question.service)
            problem = f"the operator could not read the answer of {question.service} ({type(error).__name__})"
            return Answer(at=at, problem=problem)
        service.failures = 0
        return Answer(at=at, value=value)

    def _service(self, question: MetricQuestion) -> _Service:
        """By address and token: what one tenant's token gets says nothing of another's."""
        token = question.token if isinstance(question, PrometheusQuestion) else question.key
        return self._services.setdefault((question.service, token), _Service())

    def _forget(self, now: float) -> None:
        if now - self._forgot_at < FORGET_SECONDS:
            return
        self._forgot_at = now
        for question, known in list(self._questions.items()):
            if known.task is None and now - known.used_at > FORGET_SECONDS:
                del self._questions[question]
        used = {(q.service, q.token if isinstance(q, PrometheusQuestion) else q.key) for q in self._questions}
        for name in self._services.keys() - used:
            del self._services[name]
