"""Traces of the operator's actions arrive in LangSmith, and a slow or failing LangSmith never blocks the operator."""

import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from langsmith import Client
from langsmith.schemas import Run
from langsmith.utils import LangSmithNotFoundError
from tests.patience import deadline_after, patient

from modelops.adapters.langsmith.connection import LangSmithConnection
from modelops.adapters.langsmith.redaction import MAX_CHARACTERS, REDACTED, redacted
from modelops.adapters.langsmith.tracing import ActionTraces, TraceCounts
from modelops.ports import Traces
from modelops.sandbox.client import SandboxInfo

pytestmark = pytest.mark.filterwarnings("ignore:(list_runs|read_run).*:DeprecationWarning")


def connection(sandbox: SandboxInfo) -> LangSmithConnection:
    return LangSmithConnection(api_url=sandbox.langsmith, api_key=sandbox.langsmith_key)


@pytest.fixture
def client(sandbox: SandboxInfo) -> Iterator[Client]:
    client = connection(sandbox).client()
    yield client
    client.close(timeout=0)


@pytest.fixture
def project() -> str:
    return f"operator-{uuid4().hex}"


@pytest.fixture
def opened(sandbox: SandboxInfo, project: str) -> Iterator[Callable[..., ActionTraces]]:
    made: list[ActionTraces] = []

    def open_traces(at: LangSmithConnection | None = None, **options: int) -> ActionTraces:
        made.append(ActionTraces(at or connection(sandbox), project=project, **options))
        return made[-1]

    yield open_traces
    sandbox.clear()
    for traces in made:
        traces.close(timeout=1.0)


def note(traces: ActionTraces, action: str = "reserve", **changes: object) -> None:
    now = time.time()
    fields: dict[str, object] = {
        "kind": "TrainingRun",
        "namespace": "team-a",
        "name": "docs-2",
        "uid": "0b1c",
        "agent": "docs",
        "inputs": {"attempt": 1},
        "outputs": {"reservedMicroUSD": 900_000},
        "started": now - 0.25,
        "ended": now,
        "tags": ["attempt-1"],
        **changes,
    }
    traces.record(action, **fields)  # type: ignore[arg-type]


def until(look: Callable[[], bool], *, seconds: float = 10.0) -> None:
    deadline = deadline_after(seconds)
    while not look():
        assert time.monotonic() < deadline, f"not so after {patient(seconds):.0f} s"
        time.sleep(0.02)


def arrived(client: Client, project: str) -> list[Run]:
    try:
        return list(client.list_runs(project_name=project))
    except LangSmithNotFoundError:
        return []


def test_an_action_arrives_as_a_root_run_with_agent_and_kind(
    opened: Callable[..., ActionTraces], client: Client, project: str
) -> None:
    traces = opened()
    note(traces)
    note(traces, "abort", kind="Rollout", error="error rate 12 % over 5 %")
    until(lambda: traces.counts.sent == 2)

    by_name = {run.name: run for run in arrived(client, project)}
    run = by_name["TrainingRun reserve"]
    assert run.parent_run_id is None
    assert run.metadata == {
        "agent": "docs",
        "kind": "TrainingRun",
        "namespace": "team-a",
        "name": "docs-2",
        "uid": "0b1c",
        "action": "reserve",
    }
    assert run.tags == ["modelops-operator", "docs", "TrainingRun", "attempt-1"]
    assert (run.inputs, run.outputs, run.error) == ({"attempt": 1}, {"reservedMicroUSD": 900_000}, None)
    assert run.end_time is not None
    assert (run.end_time - run.start_time).total_seconds() == pytest.approx(0.25, abs=0.01)
    assert by_name["Rollout abort"].status == "error"


def test_many_actions_become_few_requests(opened: Callable[..., ActionTraces], sandbox: SandboxInfo) -> None:
    traces = opened()
    for _ in range(300):
        note(traces)
    until(lambda: traces.counts.sent == 300)
    assert len(sandbox.requests(service="langsmith", path_regex="^/runs/batch")) <= 8


def test_close_sends_waiting_actions(
    opened: Callable[..., ActionTraces], client: Client, project: str
) -> None:
    traces = opened()
    for _ in range(150):
        note(traces)
    traces.close(timeout=10)
    assert traces.counts == TraceCounts(sent=150)
    assert len(arrived(client, project)) == 150
    note(traces)
    assert traces.counts.dropped == 1


def test_a_stalled_langsmith_blocks_no_action(
    opened: Callable[..., ActionTraces], sandbox: SandboxInfo
) -> None:
    sandbox.fault("langsmith", "stall", seconds=30, times=None)
    traces = opened(capacity=500)
    slowest, began = 0.0, time.monotonic()
    for _ in range(1000):
        before = time.monotonic()
        note(traces)
        slowest = max(slowest, time.monotonic() - before)
    assert time.monotonic() - began < 1.0
    assert slowest < 0.25, "one call waited for something"
    assert traces.counts.dropped >= 300

    began = time.monotonic()
    traces.close(timeout=0.5)
    assert time.monotonic() - began < 1.0
    assert traces.counts.sent == 0
    assert traces.counts.dropped + traces.counts.failed >= 900


def test_actions_of_an_outage_arrive_after_it_up_to_the_capacity(
    opened: Callable[..., ActionTraces], sandbox: SandboxInfo, client: Client, project: str
) -> None:
    sandbox.fault("langsmith", "status", status=503, path_regex="^/runs", times=None)
    traces = opened(capacity=50)
    note(traces, "first")
    until(lambda: bool(sandbox.requests(service="langsmith", path_regex="^/runs/batch")))
    for number in range(80):
        note(traces, f"later-{number}")
    sandbox.clear()
    until(lambda: traces.counts.sent == 51)
    assert traces.counts == TraceCounts(sent=51, dropped=30)
    assert len(arrived(client, project)) == 51


def test_a_lost_answer_duplicates_nothing(
    opened: Callable[..., ActionTraces], sandbox: SandboxInfo, client: Client, project: str
) -> None:
    sandbox.fault("langsmith", "lost_answer", path_regex="^/runs/batch")
    traces = opened()
    note(traces)
    until(lambda: traces.counts.sent == 1)
    assert len(arrived(client, project)) == 1


def test_a_wrong_key_is_logged_once_without_the_key(
    opened: Callable[..., ActionTraces], sandbox: SandboxInfo, caplog: pytest.LogCaptureFixture
) -> None:
    key = "lsv2_sandbox_wrong_0123456789"
    traces = opened(LangSmithConnection(api_url=sandbox.langsmith, api_key=key))
    with caplog.at_level(logging.WARNING):
        note(traces)
        until(lambda: traces.counts.failed == 1)
        note(traces)
        until(lambda: traces.counts.failed == 2)
    messages = [record.getMessage() for record in caplog.records if "not traced" in record.getMessage()]
    assert len(messages) == 1
    assert "secretRefs.langsmith" in messages[0]
    assert key[:9] not in caplog.text


def test_an_unreachable_address_delays_nothing(opened: Callable[..., ActionTraces]) -> None:
    traces = opened(LangSmithConnection(api_url="http://127.0.0.1:9", api_key="k"))
    note(traces)
    began = time.monotonic()
    traces.close(timeout=5)
    assert time.monotonic() - began < 5
    assert traces.counts.failed == 1


def test_no_secret_is_sent_in_a_trace(
    opened: Callable[..., ActionTraces], client: Client, project: str
) -> None:
    hub_token = "hf_abcdefghijklmnop"
    traces = opened()
    note(
        traces,
        inputs={
            "hfToken": "plain",
            "job": {"secrets": {}, "env": [f"HF_TOKEN={hub_token}"]},
            "max_tokens": 64,
        },
        error=f"401 for Bearer {hub_token}",
    )
    until(lambda: traces.counts.sent == 1)
    sent = arrived(client, project)[0]
    assert hub_token not in json.dumps([sent.inputs, sent.outputs, sent.error])
    assert sent.inputs == {
        "hfToken": REDACTED,
        "job": {"secrets": {}, "env": [f"HF_TOKEN={REDACTED}"]},
        "max_tokens": 64,
    }


def test_copies_are_bounded_and_json() -> None:
    deep: dict[str, object] = {}
    for _ in range(20):
        deep = {"deeper": deep}
    copy = redacted({"deep": deep, "wide": ["x" * 5000] * 500, "nan": float("nan"), "odd": object()})  # type: ignore[dict-item, list-item]
    assert len(json.dumps(copy, allow_nan=False)) < MAX_CHARACTERS + 3000
    assert copy["nan"] == "nan"


def test_the_sdk_is_imported_only_for_the_first_action() -> None:
    probe = (
        "import sys; from modelops.adapters.langsmith.connection import LangSmithConnection as C;"
        "from modelops.adapters.langsmith.tracing import ActionTraces as T;"
        "T(C(api_url='http://127.0.0.1:9', api_key='k')).close();"
        "sys.exit('langsmith' in sys.modules or 'requests' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", probe], timeout=patient(60)).returncode == 0


def test_action_traces_satisfy_the_engines_port(
    opened: Callable[..., ActionTraces], client: Client, project: str
) -> None:
    traces: Traces = opened()
    traces.action(
        "promote", kind="Rollout", namespace="a", name="r", uid="u", agent="docs", outputs={"weight": 100}
    )
    until(lambda: len(arrived(client, project)) == 1)
    assert arrived(client, project)[0].outputs == {"weight": 100}
