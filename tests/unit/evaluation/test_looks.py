"""Two looks with what other parts of an evaluation do in them: tests of code in a Pod, and a judge that is distrusted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.evaluation.asked import answer, request

from modelops.code_tests.in_pod import (
    FOLDER_SETTING,
    JOBS,
    RESULTS,
    VERDICTS,
    WANTED,
    read_jobs,
    verdicts_document,
)
from modelops.code_tests.runner_process import Verdict
from modelops.code_tests.shells import SETTING
from modelops.evaluation import evaluate
from modelops.evaluation.journal import Answer
from modelops.evaluation.looks import QuestionsOfLook, looks_of
from modelops.evaluation.question import Question
from modelops.evaluation.request import ARMS, Request
from modelops.workdir import ProgramFailure, WorkDir

QUESTIONS = [
    Question(
        example=str(n),
        inputs={"prompt": "def f():\n"},
        messages=(),
        target="    return 1",
        outputs={"entry_point": "f", "tests": "def check(candidate):\n    assert candidate()"},
    )
    for n in range(40)
]
CODERS = {
    "scorer": {"type": "tests", "threshold": "1"},
    "prompt": {"user": "{{ inputs.prompt }}", "assistant": "x"},
    "margin_points": "10",
    "max_examples": 20,
    "top_up_examples": 40,
}


def answers_of(_: WorkDir, given: Request, look: QuestionsOfLook) -> list[Answer]:
    """Each model fails every third example, and not the same ones: 20 of them decide nothing."""
    return [
        answer(arm, int(q.example), f"    return {'bad' if int(q.example) % 3 == number else 'good'!r}")
        for q in look.questions
        for number, arm in enumerate(ARMS)
    ]


def run_pod(folder: Path, asked: dict[str, Any]) -> int:
    """What the Pod for the tests leaves, without running anything; returns how many programs it got."""
    place = folder / asked["digest"]
    jobs = list(read_jobs(place / WANTED / JOBS, digest=asked["digest"]))
    verdicts = [Verdict(ok="good" in job.code, why="", processor_ms=1) for job in jobs]
    (place / RESULTS / VERDICTS).write_text(json.dumps(verdicts_document({"shell": "pod"}, verdicts)))
    return len(jobs)


def test_each_answer_is_tested_in_one_pod_only_though_the_program_starts_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING, "pod")
    monkeypatch.setenv(FOLDER_SETTING, str(tmp_path / "code-tests"))
    monkeypatch.setattr(evaluate, "_collect_answers", answers_of)
    given, work = request(**CODERS), WorkDir(tmp_path)
    tested: list[int] = []
    for _ in range(5):
        try:
            seen = evaluate._look(work, given, looks_of(given, QUESTIONS), [], calibrated=None)
            break
        except ProgramFailure as wanted:
            tested.append(run_pod(tmp_path / "code-tests", wanted.details["code_tests"]))
    assert tested == [2 * 20, 2 * 20]
    assert [look["examples"] for look in seen.results] == [20, 40]
    assert len(seen.scores) == 2 * 40
