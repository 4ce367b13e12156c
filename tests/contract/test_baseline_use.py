"""What the stable model was used for, from the agent's own traces in LangSmith and OpenRouter's prices."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from langsmith import Client, traceable, tracing_context
from tests.contract.learning import environment
from tests.patience import deadline_after
from tests.unit.evaluation.asked import ARM, request

from modelops.evaluation.baseline_use import baseline_use
from modelops.evaluation.recent_sessions import recent_sessions
from modelops.sandbox.client import SandboxInfo

Unique = Callable[[str], str]


@pytest.fixture(autouse=True)
def program(sandbox: SandboxInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(sandbox).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KEY", sandbox.openrouter_key)


def trace(
    client: Client, project: str, *, times: int, usage: dict[str, Any], thread: str | None = None
) -> None:
    @traceable(run_type="llm", name="call", client=client)
    def call() -> dict[str, object]:
        return {"text": "yes", "usage_metadata": usage}

    @traceable(name="agent", client=client)
    def agent() -> str:
        return str(call()["text"])

    metadata = {"thread_id": thread} if thread else None
    with tracing_context(enabled=True, project_name=project, metadata=metadata):
        for _ in range(times):
            agent()
    client.flush(timeout=10)
    deadline = deadline_after(10)
    while (
        not client.has_project(project) or client.get_run_stats(project_names=[project])["run_count"] < times
    ):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def tracer(sandbox: SandboxInfo) -> Client:
    return Client(api_url=sandbox.langsmith, api_key=sandbox.langsmith_key, tracing_sampling_rate=1.0)


def asked(sandbox: SandboxInfo, project: str | None, *, service: str = "openrouter") -> Any:
    baseline = {
        **ARM,
        "model": "modelops-sandbox/name-as-sentence",
        "base_url": sandbox.openrouter,
        "version": "v1.0.0",
        "service": service,
    }
    return request(project=project, arms={"baseline": baseline, "candidate": {**ARM, "version": "v2.0.0"}})


def test_the_cost_of_the_traces_is_that_of_the_requests(
    sandbox: SandboxInfo, tracer: Client, unique: Unique
) -> None:
    project = unique("docs")
    usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5, "total_cost": 0.25}
    trace(tracer, project, times=2, usage=usage)
    found = baseline_use(asked(sandbox, project))
    assert (found.requests, found.usd) == (2, "0.50")
    assert f"had 2 requests, less than one a day (LangSmith project {project}) for $0.50" in found.message
    assert "$0.25 each, by the cost of its runs" in found.message


def test_traces_without_a_cost_are_priced_by_their_tokens(
    sandbox: SandboxInfo, tracer: Client, unique: Unique
) -> None:
    project = unique("docs")
    usage = {"input_tokens": 1_000_000, "output_tokens": 100_000, "total_tokens": 1_100_000}
    trace(tracer, project, times=1, usage=usage)
    found = baseline_use(asked(sandbox, project))
    assert found.requests == 1
    assert float(found.usd or 0) > 0
    assert "OpenRouter's highest price" in found.message
    own = baseline_use(asked(sandbox, project, service="huggingface"))
    assert (own.requests, own.usd) == (1, None)
    assert "what they cost is not known" in own.message


def test_what_is_not_known_is_said_in_words(sandbox: SandboxInfo, tracer: Client, unique: Unique) -> None:
    empty = unique("empty")
    tracer.create_project(empty)
    for project, words in (
        (None, "spec.langsmith.project of the AgentModel is empty"),
        (empty, "has no run of the last 30 days"),
        (unique("never made"), "is not known: "),
    ):
        found = baseline_use(asked(sandbox, project))
        assert found.usd is None
        assert words in found.message


def test_a_service_that_is_down_ends_no_check(
    sandbox: SandboxInfo, unique: Unique, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGSMITH_ENDPOINT", "http://127.0.0.1:1")
    found = baseline_use(asked(sandbox, unique("docs")))
    assert (found.requests, found.usd) == (None, None)
    assert "is not known: LangSmith at http://127.0.0.1:1" in found.message


def test_runs_of_one_thread_are_one_session_for_the_forecast(
    sandbox: SandboxInfo, tracer: Client, unique: Unique
) -> None:
    project = unique("docs")
    trace(tracer, project, times=2, usage={})
    trace(tracer, project, times=3, usage={}, thread="a")
    found = recent_sessions(asked(sandbox, project))
    assert found is not None
    assert (found["sessions"], found["failed"], found["seconds"]) == (3, 0, 7 * 86400)
    assert "a run without a thread counted as a session" in found["message"]
    assert recent_sessions(asked(sandbox, unique("none"))) is None
    assert recent_sessions(asked(sandbox, None)) is None
