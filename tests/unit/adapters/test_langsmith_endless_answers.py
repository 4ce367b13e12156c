"""A LangSmith that never ends its answer holds nobody for ever: neither a program nor the operator's traces."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from tests.loopback_server import EndlessAnswer, drip, serving
from tests.patience import deadline_after, patient
from tests.unit.evaluation.asked import request

from modelops.adapters.langsmith import tracing
from modelops.adapters.langsmith.connection import LangSmithConnection
from modelops.adapters.langsmith.datasets import resolve_dataset
from modelops.adapters.langsmith.errors import LangSmithUnavailable
from modelops.adapters.langsmith.tracing import ActionTraces
from modelops.datasets import download
from modelops.datasets.download import LoadedDataset, download_dataset
from modelops.datasets.feedback import read_feedback_scores
from modelops.datasets.production import TrainingPrompts, compare_with_production
from modelops.datasets.report import Report
from modelops.evaluation.experiments import record_experiments
from modelops.evaluation.questions import read_questions
from modelops.trainers import hub_client
from modelops.workdir import ProgramFailure, WorkDir

LIMIT_SECONDS = 0.5
TEST_SECONDS = 3.0
"""Far below what an endless answer is sent for, and above the limit."""
DATASET = LoadedDataset(dataset_id="d", name="docs", as_of="2026-01-01T00:00:00+00:00", examples=())


class EndlessHeader(BaseHTTPRequestHandler):
    """Never ends even the head of its answer."""

    def do_GET(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        drip(self)

    def do_POST(self) -> None:
        self.do_GET()


class Recovers(BaseHTTPRequestHandler):
    """Never ends its first answer, and then answers as LangSmith does; counts the requests of each test."""

    requests = 0

    def do_GET(self) -> None:
        Recovers.requests += 1
        if Recovers.requests == 1:
            self.send_response(200)
            self.end_headers()
            drip(self)
            return
        body = b"[]"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()


def connection(url: str) -> LangSmithConnection:
    return LangSmithConnection(api_url=url, api_key="lsv2_pt_key", call_seconds=LIMIT_SECONDS)


@pytest.fixture(params=[EndlessAnswer, EndlessHeader], ids=["body", "head"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with serving(request.param) as address:
        yield address


@pytest.fixture
def program(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> WorkDir:
    """A program's folder, with that LangSmith and a limit that a test can wait for."""
    monkeypatch.setenv("LANGSMITH_ENDPOINT", url)
    monkeypatch.setenv("LANGSMITH_API_KEY", "lsv2_pt_key")
    limited = partial(LangSmithConnection, call_seconds=LIMIT_SECONDS)
    monkeypatch.setattr(download, "LangSmithConnection", limited)
    return WorkDir(tmp_path)


@pytest.mark.parametrize("status", ["200", "503"])
def test_a_call_ends_in_time_and_says_what_to_do(url: str, status: str) -> None:
    client = connection(f"{url}/{status}").client()
    began = time.monotonic()
    with pytest.raises(
        LangSmithUnavailable,
        match=r"had not ended its answer after 0.5 s while looking for dataset 'docs'. The call is tried again",
    ):
        resolve_dataset(client, "ls://docs")
    assert time.monotonic() - began < patient(TEST_SECONDS)
    client.close(timeout=0)


def test_nothing_reads_on_after_the_end(url: str) -> None:
    client = connection(url).client()
    with pytest.raises(LangSmithUnavailable):
        resolve_dataset(client, "ls://docs")
    abandoned = hub_client._abandoned[-1]
    abandoned.join(patient(TEST_SECONDS))
    assert not abandoned.is_alive()


def test_the_next_call_gets_its_answer() -> None:
    Recovers.requests = 0
    with serving(Recovers) as url:
        client = connection(url).client()
        with pytest.raises(LangSmithUnavailable):
            resolve_dataset(client, "ls://docs")
        assert list(client.list_datasets(dataset_name="docs")) == []
        client.close(timeout=0)


PROGRAMS: dict[str, Callable[[WorkDir], Any]] = {
    "the dataset": lambda work: download_dataset(work, "source", "ls://docs", as_of=None),
    "the feedback": lambda work: read_feedback_scores(work, ["run"], key=None, report=Report()),
    "the questions": lambda work: read_questions(work, request(), findings=[]),
}


@pytest.mark.parametrize("call", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_a_program_ends_and_is_tried_again(program: WorkDir, call: Callable[[WorkDir], Any]) -> None:
    began = time.monotonic()
    with pytest.raises(ProgramFailure, match="had not ended its answer") as caught:
        call(program)
    assert (caught.value.reason, caught.value.transient) == ("LangSmithUnavailable", True)
    assert time.monotonic() - began < patient(TEST_SECONDS)


@pytest.mark.usefixtures("program")
def test_what_no_program_needs_becomes_a_finding() -> None:
    report = Report()
    compare_with_production("docs", TrainingPrompts(), report)
    assert "had not ended its answer after 0.5 s" in report.findings[0]
    recorded = record_experiments(request(record_seconds=0), DATASET, (), (), {})
    assert recorded["recorded"] is False
    assert "had not ended its answer after 0.5 s" in recorded["unrecorded"]


def test_the_operators_traces_are_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "_CALL_SECONDS", LIMIT_SECONDS)
    monkeypatch.setattr(tracing, "_BACKOFF_SECONDS", (0.05,))
    Recovers.requests = 0
    with serving(Recovers) as url:
        traces = ActionTraces(LangSmithConnection(api_url=url, api_key="lsv2_pt_key"))
        traces.action(
            "reserve", kind="TrainingRun", namespace="a", name="r", uid="u", agent="docs", outputs={}
        )
        until, tick = deadline_after(TEST_SECONDS), threading.Event()
        while traces.counts.sent == 0 and time.monotonic() < until:
            tick.wait(0.02)
        assert traces.counts.sent == 1
        traces.close(timeout=1.0)
    assert Recovers.requests == 2
