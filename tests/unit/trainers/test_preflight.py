"""A GPU that is paid for and cannot be used is found before anything is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from modelops.domain.job_report import parse_reports
from modelops.trainers import job as jobs
from modelops.trainers import preflight

DRIVER = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  {}  Tue May  6 20:00:00 UTC 2025\nGCC version: 12.2.0\n"
)
OPEN_DRIVER = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {}  Release Build\n"


@pytest.mark.parametrize("form", [DRIVER, OPEN_DRIVER])
@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("550.54.15", "DriverTooOld: the NVIDIA driver of this machine is 550"),
        ("580.65.06", ""),
        ("595.10", ""),
    ],
)
def test_a_driver_that_is_too_old_for_cuda_13_is_named(form: str, version: str, words: str) -> None:
    found = preflight.problem(accelerator="a10g-small", driver_file=form.format(version))
    assert found.startswith(words)
    assert bool(found) is bool(words)


@pytest.mark.parametrize(
    ("accelerator", "is_missing"),
    [
        ("a10g-large", True),
        ("1x Nvidia L40S", True),
        ("h200x8", True),
        ("", False),
        ("none", False),
        ("cpu", False),
    ],
)
def test_a_gpu_without_a_driver_is_missing_and_a_processor_is_none(
    accelerator: str, is_missing: bool
) -> None:
    assert preflight.problem(accelerator=accelerator, driver_file="").startswith("NoDevice") is is_missing


def test_an_unreadable_version_stops_nothing() -> None:
    assert preflight.problem(accelerator="", driver_file="something else") == ""


def test_the_program_reports_and_ends(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "ACCELERATOR": "a10g-large",
        "MODELOPS_NONCE": "n0nce",
        "MODELOPS_SANDBOX": "",
    }
    program = [sys.executable, "-I", "-S", preflight.__file__]
    ended = subprocess.run(
        program, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    report = parse_reports(ended.stdout.splitlines(), "n0nce")
    assert ended.returncode == 1
    assert report is not None
    assert report.error.startswith("NoDevice: this machine should have a10g-large")
    sandboxed = {**environment, "MODELOPS_SANDBOX": "1"}
    assert subprocess.run(program, env=sandboxed, check=False).returncode == 0
    assert json.loads(ended.stdout.partition("@@ ")[2])["exit_code"] == 1


def test_a_training_does_not_go_on_without_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATOR", "a100-large")
    monkeypatch.delenv("MODELOPS_SANDBOX", raising=False)
    with pytest.raises(preflight.NoDevice, match="a100-large"):
        preflight.require_device(is_available=False)
    preflight.require_device(is_available=True)
    monkeypatch.setenv("ACCELERATOR", "")
    preflight.require_device(is_available=False)


def test_only_the_files_that_a_library_reads_are_downloaded() -> None:
    sharded = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    small = [
        "config.json",
        "tokenizer.json",
        "chat_template.jinja",
        "additional_chat_templates/tool_use.jinja",
        "model.safetensors.index.json",
    ]
    more = [
        "pytorch_model.bin",
        "consolidated.safetensors",
        "original/params.json",
        "x.gguf",
        "onnx/model.onnx",
    ]
    assert jobs.files_to_load([*sharded, *small, *more]) == [*sharded, *small]
    assert jobs.files_to_load(["config.json", "pytorch_model.bin"]) == ["config.json", "pytorch_model.bin"]
