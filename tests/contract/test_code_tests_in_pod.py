"""What runs in the Pod for tests of code: a killed Pod goes on, and an answer that ends Pods is one failed answer."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.contract.sandboxes import POD, require, run_tests_pod, start_tests_pod
from tests.patience import deadline_after

from modelops.code_tests.in_pod import RESULTS, PodTests, PodTestsWanted
from modelops.code_tests.runner_process import Job, Verdict

SLOW = Job(code="import time\ntime.sleep(8)", tests="")


@pytest.fixture(autouse=True)
def _here() -> None:
    require(POD)


def ask(volume: Path, jobs: list[Job]) -> dict[str, Any]:
    """The result of a program that asks for these verdicts."""
    with pytest.raises(PodTestsWanted) as wanted:
        PodTests(volume / "code-tests").run(jobs)
    return {"code_tests": {"digest": wanted.value.digest, "jobs": wanted.value.jobs}}


def verdicts(volume: Path, jobs: list[Job]) -> list[Verdict]:
    return PodTests(volume / "code-tests").run(jobs)


def lines(volume: Path, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """The journal."""
    path = volume / "code-tests" / asked["code_tests"]["digest"] / RESULTS / "verdicts.jsonl"
    found = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in found]


def kill_while(volume: Path, asked: dict[str, Any], number: int) -> None:
    """Kills the whole Pod while this job runs."""
    pod = start_tests_pod(volume, asked)
    begun = sum(line == {"job": number} for line in lines(volume, asked))
    deadline = deadline_after(60)
    while sum(line == {"job": number} for line in lines(volume, asked)) == begun:
        assert pod.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    children = psutil.Process(pod.pid).children(recursive=True)
    os.kill(pod.pid, signal.SIGKILL)
    pod.wait()
    psutil.wait_procs(children, timeout=10)


def test_a_pod_that_replaces_a_killed_one_runs_nothing_again(tmp_path: Path) -> None:
    jobs = [Job(code=f"x = {n}", tests=f"assert x != {n % 7}") for n in range(300)]
    jobs[250] = SLOW
    asked = ask(tmp_path, jobs)
    kill_while(tmp_path, asked, 250)
    assert run_tests_pod(tmp_path, asked)["ok"]
    ended = [line["job"] for line in lines(tmp_path, asked) if "ok" in line]
    assert sorted(ended) == list(range(300))
    assert [one.ok for one in verdicts(tmp_path, jobs)] == [n >= 7 for n in range(300)]


def test_an_answer_that_ends_its_pods_is_one_failed_answer(tmp_path: Path) -> None:
    jobs = [Job(code="x = 1", tests="assert x"), SLOW, Job(code="x = 2", tests="assert x")]
    asked = ask(tmp_path, jobs)
    for _ in range(2):
        kill_while(tmp_path, asked, 1)
    assert run_tests_pod(tmp_path, asked)["ok"]
    found = verdicts(tmp_path, jobs)
    assert [(one.ok, one.why) for one in found] == [(True, ""), (False, "it ended its Pod"), (True, "")]


def test_an_answer_can_neither_read_what_is_asked_nor_write_verdicts(tmp_path: Path) -> None:
    """Both folders belong to the user that runs it, so only its locks keep it from them."""
    place = "import glob\n"
    jobs = [
        Job(code=f"open({str(tmp_path)!r} + '/code-tests/x', 'w')", tests=""),
        Job(code=f"{place}found = glob.glob({str(tmp_path)!r} + '/code-tests/*/*/*')", tests="assert found"),
        Job(
            code="import os\nfor n in range(3, 64):\n    try: os.write(n, b'+1234')\n    except OSError: pass",
            tests="1 / 0",
        ),
    ]
    asked = ask(tmp_path, jobs)
    assert run_tests_pod(tmp_path, asked)["ok"]
    found = verdicts(tmp_path, jobs)
    assert not any(one.ok for one in found)
    assert found[0].why.startswith("PermissionError")
    assert found[1].why.startswith("AssertionError")


def test_answers_that_were_changed_on_the_way_are_no_verdict(tmp_path: Path) -> None:
    asked = ask(tmp_path, [SLOW])
    (wanted,) = (tmp_path / "code-tests").glob("*/wanted/jobs.jsonl")
    wanted.write_text('{"code": "", "tests": ""}\n')
    result = run_tests_pod(tmp_path, asked)
    assert (result["ok"], result["reason"]) == (False, "CodeTestsRefused")
    with pytest.raises(PodTestsWanted):
        verdicts(tmp_path, [SLOW])
