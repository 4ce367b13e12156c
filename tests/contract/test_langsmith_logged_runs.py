"""A project's runs are read by the route that the server has, with the real SDK's client against the sandbox."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from langsmith import Client

from modelops.adapters.langsmith.connection import LangSmithConnection
from modelops.adapters.langsmith.errors import LangSmithUnavailable, NotFound
from modelops.adapters.langsmith.runs import list_runs
from modelops.sandbox.client import SandboxInfo

NEW, OLD = "^/api/v2/runs/query$", "^/runs/query$"
COUNT = 205
"""More than two pages."""


@pytest.fixture(scope="module")
def project(sandbox_process: SandboxInfo) -> str:
    """A project with runs of two kinds and two ages, the first of them with an error and feedback."""
    name, now = f"agents-{uuid4().hex}", datetime.now(UTC)
    runs: list[dict[str, Any]] = []
    for number in range(COUNT):
        run_id = uuid4()
        started = now - timedelta(days=30 if number % 2 else 0, seconds=number + 1)
        runs.append(
            {
                "id": run_id,
                "trace_id": run_id,
                "dotted_order": f"{started:%Y%m%dT%H%M%S%f}Z{run_id}",
                "name": "call",
                "run_type": "llm" if number % 5 == 0 else "chain",
                "session_name": name,
                "inputs": {"number": number},
                "outputs": {"y": number},
                "error": "it broke" if number == 0 else None,
                "extra": {"invocation_params": {"tools": []}},
                "start_time": started.isoformat(),
                "end_time": started.isoformat(),
            }
        )
    client = Client(api_url=sandbox_process.langsmith, api_key=sandbox_process.langsmith_key)
    for start in range(0, COUNT, 50):
        client.batch_ingest_runs(create=runs[start : start + 50])
    session = client.read_project(project_name=name)
    client.create_feedback(runs[0]["id"], key="thumb", score=0, trace_id=runs[0]["id"], session_id=session.id)
    client.flush()
    client.close(timeout=5)
    return name


@pytest.fixture
def client(sandbox: SandboxInfo) -> Client:
    return LangSmithConnection(api_url=sandbox.langsmith, api_key=sandbox.langsmith_key).client()


@pytest.fixture(params=["new", "old version", "no such route"])
def route(request: pytest.FixtureRequest, sandbox: SandboxInfo, client: Client) -> str:
    """The route that is used in the end, on servers of different age."""
    if request.param == "old version":
        client._info = client.info.model_copy(update={"version": "0.13.2"})
    if request.param == "no such route":
        client._info = client.info.model_copy(update={"version": None})
        sandbox.fault("langsmith", "status", status=404, path_regex=NEW, times=None)
    return NEW if request.param == "new" else OLD


def test_all_runs_are_read_by_the_route_that_the_server_has(
    sandbox: SandboxInfo, client: Client, project: str, route: str
) -> None:
    found = list(list_runs(client, project))
    numbers = [run.inputs["number"] for run in found]
    ages = [run.started for run in found]
    assert sorted(numbers) == list(range(COUNT))
    assert ages == sorted(ages, reverse=True)
    first = next(run for run in found if run.inputs["number"] == 0)
    assert (first.outputs, first.error, first.extra["invocation_params"]) == (
        {"y": 0},
        "it broke",
        {"tools": []},
    )
    assert first.feedback_stats["thumb"]["avg"] == 0
    assert {run.error for run in found} == {"it broke", None}
    asked = [call["path"] for call in sandbox.requests(service="langsmith", path_regex=route)]
    assert len(asked) == 3


def test_runs_are_filtered_and_limited_by_both_routes(client: Client, project: str, route: str) -> None:
    recent = datetime.now(UTC) - timedelta(days=2)
    assert route
    assert {run.inputs["number"] % 2 for run in list_runs(client, project, since=recent)} == {0}
    assert len(list(list_runs(client, project, run_type="llm"))) == COUNT // 5
    assert len(list(list_runs(client, project, is_root=True, limit=120))) == 120
    assert list(list_runs(client, project, is_root=False)) == []


def test_unknown_project_is_not_found(client: Client) -> None:
    with pytest.raises(NotFound):
        list(list_runs(client, f"none-{uuid4().hex}"))


def test_a_server_that_is_down_is_not_taken_for_an_old_one(
    sandbox: SandboxInfo, client: Client, project: str
) -> None:
    sandbox.fault("langsmith", "status", status=503, path_regex=NEW, times=None)
    with pytest.raises(LangSmithUnavailable, match="503"):
        list(list_runs(client, project))
    assert not sandbox.requests(service="langsmith", path_regex=OLD)


@pytest.mark.parametrize("suffix", ["/api", "/api/v1"])
def test_the_new_route_is_beside_the_one_of_a_self_hosted_address(suffix: str) -> None:
    from modelops.adapters.langsmith.runs import _address_v2

    client = LangSmithConnection(api_url=f"https://langsmith.example{suffix}", api_key="lsv2_x").client()
    assert _address_v2(client) == "https://langsmith.example/api/v2/runs/query"
