"""Which runs of production are asked, and that nothing of them can change or end the evaluation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from tests.unit.evaluation.asked import answer, request

from modelops.evaluation.evaluate import _sample
from modelops.evaluation.journal import Answer, AnswerJournal
from modelops.evaluation.production import answers as answers_module
from modelops.evaluation.production import sample as sample_module
from modelops.evaluation.production.answers import ask_production
from modelops.evaluation.production.sample import Sample, read_sample
from modelops.evaluation.question import Question
from modelops.evaluation.request import ARMS, Request
from modelops.workdir import ProgramFailure, WorkDir

SECRET = "AKIA" + "Q3EGRM7ZK2PLVX5T"
HELD_OUT = Question(
    example="1", inputs={"task": "known"}, messages=({"role": "user", "content": "known"},), target="t"
)


def run(task: Any, *, agent: str | None = None) -> SimpleNamespace:
    metadata = {"agent": agent} if agent else {}
    return SimpleNamespace(id=f"id of {task}", inputs={"task": task}, extra={"metadata": metadata})


def given(runs: int = 10) -> Request:
    return request(production={"project": "docs", "runs": runs, "days": 7})


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []
    monkeypatch.setattr(sample_module, "_recent", lambda _rule: list(found))
    return found


def test_each_run_that_is_left_out_is_counted_by_its_reason(tmp_path: Path, runs: list[Any]) -> None:
    runs += [
        run("first", agent="docs"),
        run("First"),
        run("Known"),
        run(f"use {SECRET}"),
        run("of others", agent="code_review"),
        SimpleNamespace(id="x", inputs={"question": "no task"}, extra=None),
        SimpleNamespace(id="y", inputs=None, extra=None),
        run("second"),
    ]
    sample = read_sample(WorkDir(tmp_path), given(), [HELD_OUT])
    assert sample is not None
    assert [one.inputs["task"] for one in sample.questions] == ["first", "second"]
    assert sample.left_out == {
        "another run has the same inputs": 1,
        "a held-out example has the same inputs": 1,
        "they contain what looks like a secret or personal data": 1,
        "they are of another agent": 1,
        "spec.prompt cannot be rendered with their inputs": 2,
    }
    assert len(sample.findings) == 5
    assert SECRET not in "".join(one.read_text() for one in tmp_path.iterdir())


def test_runs_after_the_rollout_was_created_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    created = datetime(2026, 1, 8, tzinfo=UTC)
    asked_since: list[datetime] = []

    def project(_client: Any, _project: str, *, since: datetime) -> list[Any]:
        asked_since.append(since)
        return [SimpleNamespace(started=created + timedelta(hours=hours)) for hours in (2, 0, -5)]

    monkeypatch.setattr(sample_module, "connect_langsmith", Mock)
    monkeypatch.setattr(sample_module, "root_runs", project)
    rule = request(
        production={"project": "docs", "runs": 9, "days": 7, "until": created.isoformat()}
    ).production
    assert rule is not None
    assert [run.started for run in sample_module._recent(rule)] == [created, created - timedelta(hours=5)]
    assert asked_since == [created - timedelta(days=7)]


def test_after_a_restart_the_same_runs_are_asked(tmp_path: Path, runs: list[Any]) -> None:
    runs += [run("first"), run("second"), run("third")]
    before = read_sample(WorkDir(tmp_path), given(2), [])
    runs.insert(0, run("newer"))
    assert read_sample(WorkDir(tmp_path), given(2), []) == before
    assert before is not None
    assert [one.inputs["task"] for one in before.questions] == ["first", "second"]


def test_a_project_that_cannot_be_read_any_more_ends_no_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_rule: object) -> list[Any]:
        raise ProgramFailure("NoProject", "LangSmith has no project 'docs'")

    monkeypatch.setattr(sample_module, "_recent", gone)
    findings: list[str] = []
    assert _sample(WorkDir(tmp_path), given(), [], findings=findings) is None
    assert findings == ["recent inputs of production were not asked: LangSmith has no project 'docs'"]


def asked(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answers: list[Answer],
    refusal: ProgramFailure | None = None,
) -> Any:
    async def collect(_request: object, _questions: object, journal: AnswerJournal, **_: object) -> None:
        for one in answers:
            journal.add(one)
        if refusal:
            raise refusal

    monkeypatch.setattr(answers_module, "collect_answers", collect)
    questions = tuple(Question(example=str(n), inputs={}, messages=(), target="") for n in range(4))
    sample = Sample(questions=questions, left_out={"they are of another agent": 3})
    return ask_production(WorkDir(tmp_path), request(), sample, progress=lambda *_: None)


def test_errors_unreadable_answers_and_latencies_are_counted_for_each_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {"baseline": ["<a>", "<b>", "none", None], "candidate": ["<a>", "", "none", "<d>"]}
    answers = [answer(arm, n, texts[arm][n]) for n in range(4) for arm in ARMS]
    found = asked(tmp_path, monkeypatch, answers)
    assert (found.result.runs, found.result.left_out) == (4, 3)
    assert (found.result.baseline.errors, found.result.baseline.unreadable) == (1, 1)
    assert (found.result.candidate.errors, found.result.candidate.unreadable) == (0, 2)
    assert found.result.candidate.latency_p50_milliseconds == 50
    assert "of 4 recent inputs of production, baseline: 1 call failed, 1 answer unreadable" in found.line


def test_a_model_that_refuses_the_sample_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [answer(arm, 0, "<a>") for arm in ARMS] + [answer("baseline", 1, "<a>")]
    refusal = ProgramFailure("CreditsExhausted", "no credits left")
    found = asked(tmp_path, monkeypatch, answers, refusal)
    assert found.result.runs == 1
    assert len(found.answers) == 3
    assert any("not asked to its end: no credits left" in one for one in found.findings)
