"""Measures of production runs by version, with the real SDK's client against the sandbox, by both routes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from langsmith import Client

from modelops.adapters.langsmith.production_metrics import LangSmithMetrics
from modelops.ports import LangSmithQuestion, Refused, Unavailable
from modelops.sandbox.client import SandboxInfo

CANARY, STABLE = "v1.1.0-rc.1", "v1.0.0"


def logged(project: str, number: int, version: str, *, age: timedelta) -> dict[str, Any]:
    """A model call of a second for each number from 1 on, which costs a cent; the first of ten fails."""
    run_id, started = uuid4(), datetime.now(UTC) - age - timedelta(minutes=1)
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, "total_cost": 0.01}
    return {
        "id": run_id,
        "trace_id": run_id,
        "dotted_order": f"{started:%Y%m%dT%H%M%S%f}Z{run_id}",
        "name": "answer",
        "run_type": "llm",
        "session_name": project,
        "inputs": {"q": number},
        "outputs": None if number == 0 else {"a": number},
        "error": "it broke" if number == 0 else None,
        "extra": {"metadata": {"modelops_version": version, "usage_metadata": usage}},
        "start_time": started.isoformat(),
        "end_time": (started + timedelta(seconds=number)).isoformat(),
    }


@pytest.fixture(scope="module")
def project(sandbox_process: SandboxInfo) -> str:
    """Ten runs of the canary, ten of stable that all fail, and ten of the canary that are too old."""
    name = f"agents-{uuid4().hex}"
    canary = [logged(name, number, CANARY, age=timedelta()) for number in range(10)]
    stable = [logged(name, 0, STABLE, age=timedelta()) for _ in range(10)]
    old = [logged(name, 0, CANARY, age=timedelta(days=2)) for _ in range(10)]
    client = Client(api_url=sandbox_process.langsmith, api_key=sandbox_process.langsmith_key)
    client.batch_ingest_runs(create=[*canary, *stable, *old])
    session = client.read_project(project_name=name)
    for number, run in enumerate(canary[:4]):
        client.create_feedback(
            run["id"], key="helpful", score=number / 4, trace_id=run["id"], session_id=session.id
        )
    client.flush()
    client.close(timeout=5)
    return name


@pytest.fixture
async def provider(sandbox: SandboxInfo) -> AsyncIterator[LangSmithMetrics]:
    made = LangSmithMetrics(sandbox.langsmith)
    yield made
    await made.close()


def question(sandbox: SandboxInfo, of: str, measure: str, **changes: Any) -> LangSmithQuestion:
    given = {
        "key": sandbox.langsmith_key,
        "project": of,
        "measure": measure,
        "version_key": "modelops_version",
        "version": CANARY,
        "window_seconds": 3600,
        "min_runs": 5,
    }
    return LangSmithQuestion(**{**given, **changes})


@pytest.mark.parametrize("route", ["new", "old"])
async def test_the_measures_of_one_version(
    sandbox: SandboxInfo, provider: LangSmithMetrics, project: str, route: str
) -> None:
    if route == "old":
        path = "^/api/v2/runs/query$"
        sandbox.fault("langsmith", "status", status=404, path_regex=path, times=None)

    async def number(measure: str, **changes: Any) -> float:
        return await provider.measure(question(sandbox, project, measure, **changes))

    assert await number("errorRate") == pytest.approx(0.1)
    assert await number("errorRate", version=STABLE) == 1.0
    assert await number("latencyP50") == pytest.approx(5000)
    assert await number("latencyP95") == pytest.approx(9000)
    assert await number("costPerRun") == pytest.approx(0.01)
    assert await number("feedback", feedback_key="helpful", min_runs=4) == pytest.approx(0.375)
    for measure, changes, why in (
        ("errorRate", {"min_runs": 11}, "has 10 of at least 11 runs in the last 3600 s whose metadata has"),
        ("errorRate", {"version": "v9.0.0"}, "has 0 of at least 5 runs"),
        ("feedback", {"feedback_key": "helpful"}, "has 4 of at least 5 runs with feedback 'helpful'"),
        ("errorRate", {"project": "nobody's"}, "has no project"),
    ):
        with pytest.raises(Refused, match=why):
            await number(measure, **changes)


async def test_a_service_that_is_away_is_unavailable_and_a_wrong_key_is_refused(
    sandbox: SandboxInfo, provider: LangSmithMetrics, project: str
) -> None:
    wrong = question(sandbox, project, "errorRate", key="lsv2_wrong")
    with pytest.raises(Refused, match="the key is wrong"):
        await provider.measure(wrong)
    sandbox.fault("langsmith", "status", status=503, times=None)
    with pytest.raises(Unavailable, match="answered 503"):
        await provider.measure(question(sandbox, project, "errorRate"))
