"""Runs and feedback that the real SDK sends to the sandbox can be queried again."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import pytest
from langsmith import Client, traceable, tracing_context
from langsmith.run_trees import RunTree
from langsmith.utils import LangSmithConflictError, LangSmithError, LangSmithNotFoundError
from tests.patience import deadline_after, patient

from modelops.adapters.langsmith.connection import LangSmithConnection
from modelops.sandbox.client import SandboxInfo, start
from modelops.sandbox.langsmith.ingest import INFO

pytestmark = pytest.mark.filterwarnings("ignore:(list_runs|read_run).*:DeprecationWarning")


Found = TypeVar("Found")


def eventually(look: Callable[[], Found], *, seconds: float = 10.0) -> Found:
    """Return the first true value of `look`."""
    deadline = deadline_after(seconds)
    while not (found := look()):
        assert time.monotonic() < deadline, f"still nothing after {patient(seconds):.0f} s"
        time.sleep(0.02)
    return found


@pytest.fixture
def tracer(sandbox: SandboxInfo) -> Iterator[Client]:
    """A client that sends traces in the background, as an agent's client does."""
    client = Client(
        api_url=sandbox.langsmith, api_key=sandbox.langsmith_key, tracing_sampling_rate=1.0, timeout_ms=5000
    )
    yield client
    client.close(timeout=5)


@pytest.fixture
def project() -> str:
    return f"agents-{uuid4().hex}"


def test_a_traced_function_arrives_with_its_children(tracer: Client, project: str) -> None:
    @traceable(run_type="llm", name="call", client=tracer, metadata={"ls_model_name": "tiny"})
    def call(prompt: str) -> dict[str, object]:
        usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5, "total_cost": 0.5}
        return {"text": prompt.upper(), "usage_metadata": usage}

    @traceable(name="agent", client=tracer, tags=["docs"], metadata={"agent": "docs", "track": "canary"})
    def agent(task: str) -> str:
        return str(call(task)["text"])

    with tracing_context(enabled=True, project_name=project):
        assert agent("hello") == "HELLO"
    tracer.flush(timeout=10)

    runs = eventually(lambda: finished(tracer, project, 2))
    root = next(run for run in runs if run.parent_run_id is None)
    child = next(run for run in runs if run.parent_run_id == root.id)
    assert (root.name, root.inputs, root.outputs) == ("agent", {"task": "hello"}, {"output": "HELLO"})
    assert root.tags == ["docs"]
    assert root.metadata["track"] == "canary"
    assert (child.name, child.run_type, child.total_tokens) == ("call", "llm", 5)
    assert child.parent_run_ids == [root.id]
    stats = tracer.read_project(project_name=project, include_stats=True)
    assert (stats.run_count, stats.total_tokens, float(stats.total_cost or 0)) == (1, 5, 0.5)


def finished(client: Client, project: str, count: int) -> list[RunTree]:
    try:
        runs = list(client.list_runs(project_name=project))
    except LangSmithNotFoundError:
        return []
    return runs if len(runs) == count and all(run.end_time for run in runs) else []  # type: ignore[return-value]


def test_a_run_that_fails_counts_as_an_error(tracer: Client, project: str) -> None:
    @traceable(client=tracer)
    def broken() -> None:
        raise RuntimeError("endpoint said 500")

    with tracing_context(enabled=True, project_name=project), pytest.raises(RuntimeError):
        broken()
    tracer.flush(timeout=10)

    runs = eventually(lambda: finished(tracer, project, 1))
    assert "endpoint said 500" in str(runs[0].error)
    assert tracer.read_project(project_name=project, include_stats=True).error_rate == 1.0
    assert [run.status for run in tracer.list_runs(project_name=project, error=True)] == ["error"]


def test_tracing_works_without_compression(sandbox: SandboxInfo, project: str) -> None:
    info = {
        "version": "0.16.5",
        "instance_flags": {"zstd_compression_enabled": False},
        "batch_ingest_config": INFO["batch_ingest_config"],
    }
    client = Client(
        api_url=sandbox.langsmith, api_key=sandbox.langsmith_key, info=info, tracing_sampling_rate=1.0
    )
    run = RunTree(name="plain", inputs={"a": "ü"}, client=client, project_name=project)
    run.post()
    run.end(outputs={"b": 1})
    run.patch()
    client.flush(timeout=10)
    assert eventually(lambda: finished(client, project, 1))[0].inputs == {"a": "ü"}
    client.close(timeout=5)


def recorded(client: Client, project: str, **fields: object) -> dict[str, object]:
    """A finished root run, sent as one batch."""
    run_id, now = uuid4(), datetime.now(UTC)
    run = {
        "id": run_id,
        "trace_id": run_id,
        "dotted_order": f"{now:%Y%m%dT%H%M%S%f}Z{run_id}",
        "name": "call",
        "run_type": "chain",
        "session_name": project,
        "inputs": {"x": 1},
        "outputs": {"y": 2},
        "start_time": now.isoformat(),
        "end_time": now.isoformat(),
        **fields,
    }
    client.batch_ingest_runs(create=[run])
    return run


def test_runs_are_filtered_by_their_fields(client: Client, project: str) -> None:
    for track, tags in (("stable", ["a"]), ("canary", ["b"]), ("canary", ["a"])):
        metadata = {"agent": "docs", "track": track, "stable": "canary"}
        recorded(client, project, tags=tags, extra={"metadata": metadata})

    def count(filter_: str) -> int:
        return len(list(client.list_runs(project_name=project, filter=filter_)))

    assert count('and(eq(metadata_key, "track"), eq(metadata_value, "canary"))') == 2
    assert count('and(eq(metadata_key, "track"), eq(metadata_value, "canary"), has(tags, "a"))') == 1
    assert count('or(has(tags, "b"), eq(status, "error"))') == 1
    assert count("gt(latency, 5)") == 0
    assert count('not(eq(run_type, "llm"))') == 3
    with pytest.raises(LangSmithError, match="400"):
        count('sounds_like(name, "x")')


def test_more_runs_than_a_page_are_all_listed_once(client: Client, project: str) -> None:
    for _ in range(3):
        ids = [uuid4() for _ in range(45)]
        now = datetime.now(UTC)
        client.batch_ingest_runs(
            create=[
                {
                    "id": one,
                    "trace_id": one,
                    "dotted_order": f"{now:%Y%m%dT%H%M%S%f}Z{one}",
                    "name": "call",
                    "run_type": "chain",
                    "session_name": project,
                    "start_time": now.isoformat(),
                }
                for one in ids
            ]
        )
    assert len({run.id for run in client.list_runs(project_name=project)}) == 135
    assert len(list(client.list_runs(project_name=project, limit=20))) == 20


def test_a_run_is_created_once_and_read_by_id(client: Client, project: str) -> None:
    run = recorded(client, project)
    assert client.read_run(run["id"]).outputs == {"y": 2}
    with pytest.raises(LangSmithNotFoundError):
        client.read_run(uuid4())
    with pytest.raises(LangSmithConflictError):
        client.request_with_retries(
            "POST", "/runs", json={"id": str(run["id"]), "name": "again", "run_type": "chain"}
        )


@pytest.mark.parametrize(
    "wrong",
    [{"dotted_order": "20250101T000000000000Z" + str(uuid4())}, {"run_type": "spell"}, {"start_time": None}],
)
def test_a_malformed_run_is_refused(
    client: Client, project: str, caplog: pytest.LogCaptureFixture, wrong: dict[str, object]
) -> None:
    run = {"start_time": None, **wrong} if "start_time" in wrong else wrong
    body = recorded_body(project) | run
    with pytest.raises(LangSmithError, match="422"):
        client.request_with_retries("POST", "/runs/batch", json={"post": [body], "patch": []})
    assert not client.has_project(project)


def recorded_body(project: str) -> dict[str, object]:
    run_id = str(uuid4())
    return {
        "id": run_id,
        "trace_id": run_id,
        "dotted_order": f"20250101T000000000000Z{run_id}",
        "name": "call",
        "run_type": "chain",
        "session_name": project,
        "start_time": "2025-01-01T00:00:00+00:00",
    }


def test_feedback_is_listed_and_summed_up(client: Client, project: str) -> None:
    runs = [recorded(client, project) for _ in range(2)]
    session = client.read_project(project_name=project)
    for run, score in zip(runs, (1, 0), strict=True):
        client.create_feedback(run["id"], key="success", score=score, session_id=session.id)
    client.create_feedback(project_id=session.id, key="overall", score=0.5)

    listed = list(client.list_feedback(run_ids=[run["id"] for run in runs], feedback_key=["success"]))
    assert sorted(entry.score or 0 for entry in listed) == [0, 1]
    stats = client.read_project(project_id=str(session.id), include_stats=True)
    assert (stats.feedback_stats or {})["success"] | {"stdev": 0} == {
        "n": 2,
        "avg": 0.5,
        "stdev": 0,
        "values": {},
        "errors": 0,
    }
    assert (stats.session_feedback_stats or {})["overall"]["avg"] == 0.5


def test_feedback_without_a_run_or_session_is_refused(client: Client) -> None:
    body = {"key": "success", "score": 1, "run_id": str(uuid4())}
    with pytest.raises(LangSmithNotFoundError):
        client.request_with_retries("POST", "/feedback", json=body)
    with pytest.raises(LangSmithError, match="422"):
        client.request_with_retries("POST", "/feedback", json={"key": "success", "score": 0.123456})


def test_ingestion_with_a_wrong_key_is_forbidden(sandbox: SandboxInfo, project: str) -> None:
    wrong = LangSmithConnection(api_url=sandbox.langsmith, api_key="lsv2_wrong", attempts=1).client()
    with pytest.raises(LangSmithError, match="403"):
        wrong.request_with_retries("POST", "/runs/batch", json={"post": [recorded_body(project)]})


def test_all_data_survive_a_restart(tmp_path: Path, project: str) -> None:
    with start(tmp_path) as first:
        client = LangSmithConnection(api_url=first.langsmith, api_key=first.langsmith_key).client()
        run = recorded(client, project)
        dataset = client.create_dataset("kept")
        client.create_example({"a": 1}, dataset_id=dataset.id)
    with start(tmp_path) as second:
        client = LangSmithConnection(api_url=second.langsmith, api_key=second.langsmith_key).client()
        assert client.read_run(run["id"]).name == "call"
        assert [one.inputs for one in client.list_examples(dataset_name="kept")] == [{"a": 1}]


def test_queries_of_version_2_return_the_selected_fields(client: Client, project: str) -> None:
    runs = [recorded(client, project, extra={"metadata": {"agent": "docs"}}) for _ in range(3)]
    project_id = str(client.read_project(project_name=project).id)
    api = client._get_langsmith_api_sync()

    listed = list(
        api.runs.query_v2(project_ids=[project_id], selects=["NAME", "STATUS", "METADATA"], page_size=2)
    )
    assert {run.id for run in listed} == {str(run["id"]) for run in runs}
    assert {run.status for run in listed} == {"SUCCESS"}
    assert listed[0].metadata == {"agent": "docs"}
    assert listed[0].inputs is None
    one = api.runs.retrieve_v2(str(runs[0]["id"]), project_id=project_id, selects=["INPUTS", "RUN_TYPE"])
    assert (one.inputs, one.run_type) == ({"x": 1}, "CHAIN")
