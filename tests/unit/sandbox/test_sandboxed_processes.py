"""Every modelops process, started with MODELOPS_SANDBOX, refuses to work if a service is on another machine."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from tests.patience import patient

from modelops.adapters.huggingface.payload import payload_base64
from modelops.domain.job_report import parse_reports
from modelops.loopback import SERVICE_VARIABLES

NOWHERE = "http://127.0.0.1:9"
ELSEWHERE = "https://service.invalid"
SANDBOXED = {"MODELOPS_SANDBOX": "true", **dict.fromkeys(SERVICE_VARIABLES, NOWHERE)}
PROMPT = {"user": "{{ inputs.task }}", "assistant": "{{ outputs.text }}"}


def run(*command: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**kept, **SANDBOXED, **environ},
        capture_output=True,
        text=True,
        timeout=patient(60),
    )


def result_of(program: str, given: dict[str, Any], folder: Path, **environ: str) -> dict[str, Any]:
    (folder / "input.json").write_text(json.dumps(given))
    done = run("-m", program, str(folder), folder=folder, **environ)
    assert done.returncode == 1, done.stderr
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result


def evaluation(**base_urls: str) -> dict[str, Any]:
    arms = {
        name: {
            "model": "m",
            "base_url": base_urls.get(name, f"{NOWHERE}/v1"),
            "api_key_env": "KEY",
            "version": "v1.0.0",
        }
        for name in ("baseline", "candidate")
    }
    return {
        "v": 1,
        "rollout": "uid",
        "agent": "docs",
        "dataset": "ls://d",
        "arms": arms,
        "prompt": PROMPT,
        "scorer": {"type": "exact", "threshold": "1"},
        "margin_points": "5",
        "goal": "nonInferior",
    }


def test_the_operator_does_not_start_with_an_address_on_another_machine(tmp_path: Path) -> None:
    done = run("-m", "modelops.runtime", folder=tmp_path, HF_ENDPOINT=ELSEWHERE)
    assert done.returncode == 2
    assert f"MODELOPS_SANDBOX=true but HF_ENDPOINT={ELSEWHERE} is not on this machine" in done.stderr


@pytest.mark.parametrize("program", ["modelops.datasets", "modelops.evaluation"])
@pytest.mark.parametrize("name", SERVICE_VARIABLES)
def test_a_program_ends_with_a_result_that_names_the_variable(
    tmp_path: Path, program: str, name: str
) -> None:
    result = result_of(program, {}, tmp_path, **{name: ELSEWHERE})
    assert (result["ok"], result["reason"], result["transient"]) == (False, "HostNotAllowed", False)
    assert f"{name}={ELSEWHERE} is not on this machine" in result["message"]


@pytest.mark.parametrize("arm", ["baseline", "candidate"])
def test_an_evaluation_calls_no_model_on_another_machine(tmp_path: Path, arm: str) -> None:
    given = evaluation(**{arm: f"{ELSEWHERE}/v1"})
    result = result_of("modelops.evaluation", given, tmp_path, KEY="k", LANGSMITH_API_KEY="k")
    assert result["reason"] == "HostNotAllowed"
    assert f"arms.{arm}.base_url={ELSEWHERE}/v1 is not on this machine" in result["message"]


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"HF_ENDPOINT": ELSEWHERE}, f"HF_ENDPOINT={ELSEWHERE} is not on this machine"),
        ({"HF_ENDPOINT": ""}, "HF_ENDPOINT is not set"),
        ({"MODELOPS_SANDBOX": "maybe"}, "MODELOPS_SANDBOX=maybe is neither on nor off"),
    ],
)
def test_a_job_with_a_bad_address_claims_no_attempt(
    tmp_path: Path, environ: dict[str, str], says: str
) -> None:
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(payload_base64("tiny")))) as archive:
        archive.extractall(tmp_path, filter="data")
    wanted = {
        "v": 1,
        "run": "uid",
        "attempt": 1,
        "agent": "docs",
        "base_model": "org/base",
        "base_revision": "main",
        "method": "sft",
        "version": "v1.1.0-rc.1",
        "dataset": {"repo": "org/data", "revision": "main"},
        "output": {"repo": "org/model"},
        "config": {},
    }
    own = {"MODELOPS_RUN": json.dumps(wanted), "MODELOPS_NONCE": "n0nce", "HF_TOKEN": "hf_token_of_the_test"}
    done = run("train.py", folder=tmp_path, **own, **environ)
    assert done.returncode == 1
    report = parse_reports(done.stdout.splitlines(), "n0nce")
    assert report is not None
    assert says in report.error
    assert "hf_token_of_the_test" not in done.stdout + done.stderr
