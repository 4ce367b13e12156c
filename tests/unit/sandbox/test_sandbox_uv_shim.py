"""A job's `uv` runs its script with the training environment, or says how to get one."""

import subprocess
import sys
from pathlib import Path

import pytest

from modelops.sandbox.jobs import uv_shim
from modelops.trainenv.environment import VARIABLE


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "train.py").write_text("print('trained')")
    uv_shim.install(folder / "bin")
    command = [str(folder / "bin" / "uv"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_script_runs_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, sys.executable)
    assert run(tmp_path, "run", "--no-project", "train.py").stdout == "trained\n"


def test_machine_without_an_environment_names_the_make_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    done = run(tmp_path, "run", "--no-project", "train.py")
    assert done.returncode == 1
    assert "run 'make train-env'" in done.stderr


def test_unsupported_uv_command_is_refused(tmp_path: Path) -> None:
    assert run(tmp_path, "pip", "install", "torch").returncode == 2
