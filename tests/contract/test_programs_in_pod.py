"""The process of a program's Pod: real processes in a folder that outlives them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.patience import patient

from modelops.adapters.programs.in_pod import MARK, parse_report

PROGRAM = """
import json, os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
given = json.loads((folder / "input.json").read_text())
with (folder / "runs.jsonl").open("a") as runs: runs.write("run\\n")
number = len((folder / "runs.jsonl").read_text().splitlines())
if number <= given.get("crashes", 0):
    if not given.get("journal", True): (folder / "runs.jsonl").write_text("")
    print("dying of", os.environ["HF_TOKEN"]); os._exit(9)
while given.get("wait"): time.sleep(0.05)
(folder / "result.json").write_text(json.dumps(
    {"ok": not given.get("fails"), "reason": "R", "message": os.environ["HF_TOKEN"].strip(" ") + "|",
     "transient": bool(given.get("transient"))}))
"""
TOKEN = "a-secret-of-this-test"


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    (tmp_path / "program_under_test.py").write_text(PROGRAM)

    def run(given: str) -> subprocess.Popen[str]:
        (tmp_path / "input.json").write_text(given)
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "modelops.adapters.programs.in_pod",
                "program_under_test",
                str(tmp_path / "input.json"),
                str(tmp_path / "work"),
            ],
            env={
                **os.environ,
                "PYTHONPATH": f"{os.environ.get('PYTHONPATH', '')}:{tmp_path}",
                "HF_TOKEN": f"{TOKEN}\n",
                "MODELOPS_PROGRAM_SECRETS": "HF_TOKEN",
            },
            stdout=subprocess.PIPE,
            text=True,
        )

    return run


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=patient(30))
    return process.returncode, output


def runs(tmp_path: Path) -> int:
    return len((tmp_path / "work" / "runs.jsonl").read_text().splitlines())


def test_a_crash_is_resumed_in_the_same_pod_and_its_log_has_no_secret(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    code, output = end(start('{"crashes": 1}'))
    report = parse_report(output)
    assert report is not None
    assert (code, report["result"]["ok"], runs(tmp_path)) == (0, True, 2)
    assert report["result"]["message"] == f"{TOKEN}|"
    shown = [line for line in output.splitlines() if not line.startswith(MARK)]
    assert shown == ["program: dying of ***", "program: the program ended without a result, with exit code 9"]


def test_three_crashes_without_progress_are_a_failure(start: Callable[..., subprocess.Popen[str]]) -> None:
    code, output = end(start('{"crashes": 99, "journal": false}'))
    report = parse_report(output)
    assert report is not None
    assert code == 3
    assert report["result"]["reason"] == "ProgramDied"
    assert "with exit code 9" in report["result"]["message"]
    assert TOKEN not in output


def test_a_result_is_reported_again_without_another_run(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    first, again = end(start("{}")), end(start("{}"))
    assert first == again
    assert runs(tmp_path) == 1


def test_a_transient_failure_runs_again_in_the_next_pod(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    for number in (1, 2):
        code, output = end(start('{"fails": true, "transient": true}'))
        report = parse_report(output)
        assert report is not None
        assert (code, report["result"]["transient"], runs(tmp_path)) == (3, True, number)


def test_a_pod_that_is_asked_to_end_ends_its_program_and_counts_no_crash(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path, eventually: Callable[..., None]
) -> None:
    process = start('{"wait": true}')
    eventually(lambda: (tmp_path / "work" / "runs.jsonl").exists(), seconds=10)
    process.send_signal(signal.SIGTERM)
    code, output = end(process)
    assert (code, output) == (143, "")
    assert not (tmp_path / "work" / "pid").exists()
    assert not (tmp_path / "work" / "crashes.json").exists()


@pytest.mark.parametrize(
    ("log", "found"),
    [
        ("", None),
        ("noise\n", None),
        (f'{MARK}{{"v": 1}}\nprogram: more\n', {"v": 1}),
        (f'{MARK}{{"v": 1}}\n{MARK}{{"v": 2}}\n', {"v": 2}),
        (f'{MARK}{{"v": 1}}\n{MARK}{{"v": 2, "cut o', {"v": 1}),
        (f"{MARK}[1]\n", None),
    ],
)
def test_the_newest_whole_report_counts(log: str, found: object) -> None:
    assert parse_report(log) == found
