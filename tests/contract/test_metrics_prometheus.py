"""The templates and the forms of a result, with a real Prometheus that scrapes the operator's own metrics."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from tests.patience import patient
from tests.prometheus.programs import find_programs
from tests.prometheus.server import running_prometheus

from modelops.adapters.prometheus import PrometheusMetrics
from modelops.api.v1alpha1.analysis_metrics import PrometheusMetric, PrometheusTemplate
from modelops.domain.metrics.promql import query_of
from modelops.ports import AgentReports, PrometheusQuestion, Refused, TrackCounters
from modelops.runtime.object_metrics.exposition import Exposition
from modelops.runtime.object_metrics.tracks import _add_tracks

NAMES = {"agent": "docs", "namespace": "team", "version": "v1.1.0-rc.1", "track": "canary", "rollout": "r1"}
LABELS = 'agent_namespace="team",agent="docs",rollout="r1"'
WINDOW = 60
SCRAPE_SECONDS = 0.4


def exposition(scrapes: int) -> bytes:
    """The operator's metrics after so many scrapes: of the canary's requests 10 % fail, 20 % fall back, each costs 2 ct."""
    count = 100 * scrapes
    canary = TrackCounters(
        requests=count, errors=count // 10, fallbacks=count // 5, p95_ms=850, cost_micro_usd=20_000 * count
    )
    stable = TrackCounters(requests=0)
    made = Exposition()
    reports = AgentReports(expected=1, heard=1, in_sync=1, canary_reachable=1, stable=stable, canary=canary)
    _add_tracks(made, LABELS, reports)
    return made.render()


@pytest.fixture
async def prometheus(tmp_path: Path) -> AsyncIterator[str]:
    """The address of a Prometheus that has scraped at least three times."""
    scrapes = 0

    async def metrics(_: web.Request) -> web.Response:
        nonlocal scrapes
        scrapes += 1
        return web.Response(body=exposition(scrapes), content_type="text/plain")

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with running_prometheus(
            find_programs(), tmp_path, {"operator": f"127.0.0.1:{port}"}, scrape_seconds=SCRAPE_SECONDS
        ) as server:
            async with asyncio.timeout(patient(30)):
                while scrapes < 3:
                    await asyncio.sleep(0.1)
            await asyncio.sleep(SCRAPE_SECONDS / 4)  # Until what was scraped last can be asked for.
            yield server.url
    finally:
        await runner.cleanup()


async def test_templates_and_forms_of_a_result(prometheus: str) -> None:
    provider = PrometheusMetrics()

    async def number(query: str) -> float:
        return await provider.measure(PrometheusQuestion(url=prometheus, query=query))

    async def of_template(template: PrometheusTemplate, track: str = "canary") -> float:
        metric = PrometheusMetric(template=template, window_seconds=WINDOW)
        return await number(query_of(metric, {**NAMES, "track": track}))

    try:
        assert await of_template(PrometheusTemplate.ERROR_RATIO) == pytest.approx(0.1)
        assert await of_template(PrometheusTemplate.FALLBACK_RATIO) == pytest.approx(0.2)
        assert await of_template(PrometheusTemplate.COST_PER_REQUEST) == pytest.approx(0.02)
        assert await of_template(PrometheusTemplate.LATENCY) == pytest.approx(850)
        # Stable has had no request: 0 / 0.
        assert math.isnan(await of_template(PrometheusTemplate.ERROR_RATIO, "stable"))
        assert await number("scalar(vector(1)) / 0") == math.inf
        assert await number("42") == 42
        for query, why in (
            ('modelops_track_requests_total{rollout="r2"}', "no data"),
            ("modelops_track_requests_total", "2 series"),
            ("modelops_track_requests_total[5m]", "a range of values"),
            ('"text"', "a string"),
            ("sum(", "parse error"),
            ("up + ", "refuses the query"),
        ):
            with pytest.raises(Refused, match=why):
                await number(query)
        with pytest.raises(Refused, match="before /api/v1/query"):
            await provider.measure(PrometheusQuestion(url=f"{prometheus}/graph", query="up"))
    finally:
        await provider.close()
