"""The sandboxes for code tests that this machine can have."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.patience import patient

from modelops.code_tests.in_pod import FOLDER_SETTING, JOBS, JOBS_SETTING, RESULTS, WANTED
from modelops.code_tests.sandbox import opened
from modelops.code_tests.shells import SETTING, SandboxRefused

SHELLS = ("bubblewrap", "inner")
POD = "pod"
"""The inner layer in a process of its own, which stands for the Pod."""


def require(shell: str) -> None:
    """Skips, with the reason, where this machine cannot have the shell. A check that fails is no such reason."""
    refusal = refusal_of("inner" if shell == POD else shell)
    if refusal and "does not hold" not in refusal:
        pytest.skip(f"no sandbox for code tests here: {refusal}")


@cache
def refusal_of(shell: str) -> str:
    """Why the sandbox cannot be used; empty where it can."""
    try:
        with opened({SETTING: shell}):
            return ""
    except SandboxRefused as refused:
        return str(refused)


def programs_of(shell: str, volume: Path) -> dict[str, str]:
    """The variables of an evaluation program whose folder is on this volume."""
    return {SETTING: shell, **({FOLDER_SETTING: str(volume / "code-tests")} if shell == POD else {})}


def start_tests_pod(volume: Path, asked: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Starts what the Pod for the tests runs, for a result that asks for them, in an environment without anything."""
    wanted = asked["code_tests"]
    place = volume / "code-tests" / wanted["digest"]
    (place / RESULTS / "input.json").write_text(json.dumps(wanted))
    return subprocess.Popen(
        [sys.executable, "-m", "modelops.evaluation.tests_in_pod", str(place / RESULTS)],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            JOBS_SETTING: str(place / WANTED / JOBS),
        },
        start_new_session=True,
    )


def run_tests_pod(volume: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """Runs it to its end; returns its `result.json`."""
    process = start_tests_pod(volume, asked)
    process.wait(timeout=patient(90))
    place = volume / "code-tests" / asked["code_tests"]["digest"]
    result: dict[str, Any] = json.loads((place / RESULTS / "result.json").read_text())
    return result
