"""`modelops doctor --live` against the sandbox, as against a real account: by its addresses and tokens."""

import json
import os
import subprocess
import sys
from typing import Any

from tests.patience import patient

from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.hub.seeds import BASE_MODEL

CHOICES = ("--base-model", BASE_MODEL, "--baseline-model", "modelops-sandbox/name-as-sentence")


def doctor(
    sandbox: SandboxInfo, *arguments: str, expect: int, **environ: str
) -> "subprocess.CompletedProcess[str]":
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-m", "modelops.cli", "doctor", "--live", *CHOICES, *arguments],
        env={**inherited, **sandbox.environment(), **environ},
        capture_output=True,
        text=True,
        timeout=patient(60),
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done


def checks(sandbox: SandboxInfo, *arguments: str, expect: int, **environ: str) -> dict[str, Any]:
    done = doctor(sandbox, *arguments, "-o", "json", expect=expect, **environ)
    return {check["subject"]: check for check in json.loads(done.stdout)}


def test_an_account_that_answers_as_the_sandbox_does_is_well_and_nothing_is_written(
    sandbox: SandboxInfo,
) -> None:
    done = doctor(sandbox, expect=0)
    assert "0 problems, 0 warnings" in done.stdout
    assert "nvidia-l4 x1 costs $0.80 an hour" in done.stdout
    assert {call["method"] for call in sandbox.requests()} <= {"GET", "HEAD"}
    assert sandbox.hf_token not in done.stdout + done.stderr


def test_without_tokens_it_says_which_to_set(sandbox: SandboxInfo) -> None:
    done = doctor(sandbox, expect=2, HF_TOKEN="", HUGGINGFACE_HUB_TOKEN="", LANGSMITH_API_KEY="")
    assert "HF_TOKEN is not set: make a token" in done.stderr
    assert "LANGSMITH_API_KEY is not set" in done.stderr


def test_wrong_tokens_are_named_with_the_page_to_make_new_ones(sandbox: SandboxInfo) -> None:
    wrong = {"HF_TOKEN": "hf_wrong", "LANGSMITH_API_KEY": "lsv2_wrong", "OPENROUTER_API_KEY": "sk-or-wrong"}
    found = checks(sandbox, expect=1, **wrong)
    assert found["Hugging Face token"]["state"] == found["LangSmith"]["state"] == "problem"
    assert "settings/tokens" in found["Hugging Face token"]["remedy"]
    assert "namespace" not in found


def test_a_foreign_namespace_and_names_that_do_not_exist_are_named(sandbox: SandboxInfo) -> None:
    given = (
        "--base-model",
        "nobody/nothing",
        "--baseline-model",
        "nobody/nothing",
        "--dataset",
        "ls://no-such",
    )
    found = checks(sandbox, *given, expect=1)
    for subject in ("base model", "baseline", "dataset ls://no-such"):
        assert found[subject]["state"] == "problem", subject
        assert found[subject]["remedy"]
    found = checks(sandbox, expect=1, MODELOPS_HUB_ORG="somebody-else")
    assert "the token does not belong to somebody-else" in found["namespace"]["message"]
    assert "appsmithery" in found["namespace"]["remedy"]


def test_a_service_that_fails_is_a_problem_of_its_own_check(sandbox: SandboxInfo) -> None:
    sandbox.fault("hub", "status", status=500, path_regex="^/api/jobs/hardware", times=None)
    found = checks(sandbox, expect=1)
    assert found["prices of jobs"]["state"] == "problem"
    assert found["base model"]["state"] == "ok"
