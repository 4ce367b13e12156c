"""What the evaluation and the Pod for tests of code leave for each other."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from modelops.code_tests.in_pod import (
    FOLDER_SETTING,
    JOBS,
    MEMORY_SETTING,
    RESULTS,
    VERDICTS,
    WANTED,
    PodTests,
    PodTestsWanted,
    read_jobs,
    verdicts_document,
)
from modelops.code_tests.runner_process import Job, Verdict
from modelops.code_tests.shells import SandboxRefused
from modelops.evaluation.tests_in_pod import runners

ANSWERS = [Job(code="a = 1\n# \u2028 and \u00fc", tests="assert a"), Job(code="a = 0", tests="assert a")]
VERDICT = [
    Verdict(ok=True, why="", processor_ms=1.5),
    Verdict(ok=False, why="AssertionError: ", processor_ms=2),
]


def ask(folder: Path, jobs: list[Job] = ANSWERS) -> Path:
    """Asks for verdicts; returns the folder of the request."""
    with pytest.raises(PodTestsWanted) as wanted:
        PodTests(folder).run(jobs)
    assert wanted.value.jobs == len(jobs)
    return folder / wanted.value.digest


def answer(place: Path, document: Any) -> None:
    (place / RESULTS / VERDICTS).write_text(json.dumps(document))


def test_what_is_asked_for_is_read_as_it_was_and_answered_in_the_same_order(tmp_path: Path) -> None:
    place = ask(tmp_path)
    assert list(read_jobs(place / WANTED / JOBS, digest=place.name)) == ANSWERS
    answer(place, verdicts_document({"shell": "pod", "checks": 35}, VERDICT))
    tests = PodTests(tmp_path)
    assert tests.run(ANSWERS) == VERDICT
    assert tests.facts == {"shell": "pod", "checks": 35}


def test_other_answers_are_another_request_and_no_answers_are_none(tmp_path: Path) -> None:
    assert ask(tmp_path) == ask(tmp_path)
    assert ask(tmp_path) != ask(tmp_path, ANSWERS[::-1])
    assert PodTests(tmp_path).run([]) == []


def test_answers_that_are_not_those_of_the_request_are_not_run(tmp_path: Path) -> None:
    place = ask(tmp_path)
    with (place / WANTED / JOBS).open("a") as jobs:
        jobs.write('{"code": "", "tests": ""}\n')
    with pytest.raises(SandboxRefused, match="not those that were asked for"):
        list(read_jobs(place / WANTED / JOBS, digest=place.name))


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"facts": {}, "verdicts": [[True, "", 1]]},
        {"facts": {}, "verdicts": [[True, "", 1]] * 3},
        {"facts": [], "verdicts": [[True, "", 1]] * 2},
        {"facts": {}, "verdicts": [[True, "", "x"]] * 2},
        {"facts": {}, "verdicts": [[True, "y" * 20_000, 1]] * 2},
        {"facts": {}, "verdicts": [True, False]},
    ],
)
def test_verdicts_in_another_form_refuse_the_evaluation(tmp_path: Path, document: Any) -> None:
    place = ask(tmp_path)
    answer(place, document)
    with pytest.raises(SandboxRefused, match="verdicts of the Pod for code tests"):
        PodTests(tmp_path).run(ANSWERS)


def test_only_a_verdict_that_is_true_is_a_success(tmp_path: Path) -> None:
    place = ask(tmp_path)
    answer(place, {"facts": {}, "verdicts": [[1, "", 1], ["true", "", 1]]})
    assert [verdict.ok for verdict in PodTests(tmp_path).run(ANSWERS)] == [False, False]


def test_a_link_or_a_pipe_in_place_of_the_verdicts_is_not_followed(tmp_path: Path) -> None:
    place, outside = ask(tmp_path), tmp_path / "input.json"
    outside.write_text(json.dumps(verdicts_document({}, VERDICT)))
    results = place / RESULTS / VERDICTS
    for target in (outside, tmp_path / "nowhere"):
        results.symlink_to(target)
        with pytest.raises(SandboxRefused, match="cannot be read"):
            PodTests(tmp_path).run(ANSWERS)
        results.unlink()
    os.mkfifo(results)
    with pytest.raises(SandboxRefused, match="are no file"):
        PodTests(tmp_path).run(ANSWERS)


def test_a_pod_that_leaves_no_verdicts_is_not_asked_for_ever(tmp_path: Path) -> None:
    for _ in range(6):
        ask(tmp_path)
    with pytest.raises(SandboxRefused, match="left no verdicts"):
        PodTests(tmp_path).run(ANSWERS)


def test_without_a_volume_to_share_the_refusal_says_what_allows_it() -> None:
    with pytest.raises(SandboxRefused, match=r"programs\.job\.volume\.persistent: true"):
        PodTests.of({})
    assert PodTests.of({FOLDER_SETTING: "/somewhere"}).facts == {}


@pytest.mark.parametrize(
    ("limit", "expected"), [("", 1), ("1073741824", 1), (str(2 << 30), 2), (str(64 << 30), 4)]
)
def test_as_many_answers_run_at_once_as_the_memory_holds(limit: str, expected: int) -> None:
    assert runners({MEMORY_SETTING: limit}) == expected
