"""Calls of services are counted with their outcome, repetitions, last success and rate limit."""

from __future__ import annotations

import time
from collections.abc import Sequence

import httpx2
import pytest

from modelops.adapters.huggingface.http_client import RestrictedClient, requests_only_to
from modelops.ports import Unavailable
from modelops.runtime.call_counter import count_calls
from modelops.runtime.metrics import Metrics


class Service:
    """Answers with these outcomes, one after the other; an error is raised."""

    def __init__(self, outcomes: Sequence[Exception | None]) -> None:
        self._outcomes = list(outcomes)

    async def ask(self) -> None:
        outcome = self._outcomes.pop(0)
        if outcome is not None:
            raise outcome


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(
        f"modelops_external_{name}", {"api": "jobs", "operation": "ask", **labels}
    )


async def test_a_call_after_a_temporary_failure_counts_as_a_repetition() -> None:
    metrics = Metrics()
    started = time.time()
    service = count_calls(
        Service([Unavailable("down"), Unavailable("down"), None, None]), api="jobs", metrics=metrics
    )
    for _ in range(2):
        with pytest.raises(Unavailable):
            await service.ask()
    failing_since = value(metrics, "last_success_timestamp_seconds")
    assert failing_since is not None
    assert failing_since <= started
    await service.ask()
    await service.ask()
    assert value(metrics, "retries_total") == 2
    assert value(metrics, "calls_total", outcome="Unavailable") == 2
    assert value(metrics, "calls_total", outcome="ok") == 2
    succeeded = value(metrics, "last_success_timestamp_seconds")
    assert succeeded is not None
    assert succeeded >= started


def test_the_rate_limit_of_an_answer_is_reported_with_its_bucket() -> None:
    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"RateLimit": '"api";r=489;t=55'})

    metrics = Metrics()
    with (
        RestrictedClient(transport=httpx2.MockTransport(answer)) as client,
        requests_only_to(frozenset({"https://hub"}), on_rate_limit=metrics.rate_limit),
    ):
        client.get("https://hub/api/whoami-v2")
    assert (
        metrics.registry.get_sample_value("modelops_external_rate_limit_remaining", {"bucket": "api"}) == 489
    )


def test_the_metrics_of_objects_are_served_only_while_they_are_given() -> None:
    metrics = Metrics()
    metrics.serve_objects(lambda: b"modelops_agent_ready 1\n")
    assert metrics.render().endswith(b"modelops_agent_ready 1\n")
    metrics.serve_objects()
    assert b"modelops_agent_ready" not in metrics.render()
