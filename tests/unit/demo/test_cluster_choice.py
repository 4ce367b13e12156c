"""Which cluster `make demo` uses: only one that is named on the command line, and only after the person agreed."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def make_demo(*variables: str, **environment: str) -> str:
    """What `make demo` would run."""
    command = ["make", "-n", "-o", "setup", "demo", *variables]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        command, cwd=ROOT, env={**inherited, **environment}, capture_output=True, text=True, check=True
    )
    return " ".join(done.stdout.splitlines()[-1].split())


def test_make_demo_uses_no_cluster_that_only_the_shell_names() -> None:
    exported = {"KUBECONFIG": "/prod", "CONTEXT": "prod", "CLUSTER": "kind"}
    assert make_demo(**exported) == ".venv/bin/modelops demo"


@pytest.mark.parametrize(
    ("variables", "arguments"),
    [
        (["KUBECONFIG=/a b"], "--kubeconfig '/a b'"),
        (["KUBECONFIG=/a", "CONTEXT=dev"], "--kubeconfig '/a' --context 'dev'"),
        (["CLUSTER=kind"], "--cluster 'kind'"),
    ],
)
def test_make_demo_uses_the_cluster_of_its_command_line(variables: list[str], arguments: str) -> None:
    assert make_demo(*variables, KUBECONFIG="/prod") == f".venv/bin/modelops demo {arguments}"


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    contexts = [{"name": name, "context": {"cluster": name, "user": name}} for name in ("prod", "dev")]
    clusters = [{"name": name, "cluster": {"server": "https://127.0.0.1:1"}} for name in ("prod", "dev")]
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "prod",
        "contexts": contexts,
        "clusters": clusters,
        "users": [{"name": name, "user": {}} for name in ("prod", "dev")],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    return path


def demo(
    *arguments: str | Path, folder: Path, stdin: int = subprocess.DEVNULL
) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "modelops.cli", "demo", *map(str, arguments), "--dir", str(folder)]
    return subprocess.run(command, stdin=stdin, capture_output=True, text=True, timeout=120)


def test_without_a_terminal_the_context_must_be_named(kubeconfig: Path, tmp_path: Path) -> None:
    done = demo("--kubeconfig", kubeconfig, folder=tmp_path / "demo")
    assert done.returncode == 1
    assert "would use the cluster of context prod" in done.stderr
    assert f"make demo KUBECONFIG={kubeconfig} CONTEXT=prod" in done.stderr
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize("answer", ["yes\n", "dev\n", "\n", "\x04"])
def test_any_answer_but_the_contexts_name_starts_nothing(
    answer: str, kubeconfig: Path, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    done = demo("--kubeconfig", kubeconfig, folder=tmp_path / "demo", stdin=theirs)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 1
    assert "nothing was changed" in done.stderr
    assert not (tmp_path / "demo").exists()


def test_a_context_that_is_not_there_is_refused_with_those_that_are(kubeconfig: Path, tmp_path: Path) -> None:
    done = demo("--kubeconfig", kubeconfig, "--context", "test", folder=tmp_path / "demo")
    assert done.returncode == 1
    assert "has no context 'test', only dev, prod" in done.stderr


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    done = demo("--kubeconfig", tmp_path / "none", "--context", "a", folder=tmp_path / "demo")
    assert done.returncode == 1
    assert "none" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--context", "a"], 1), (["--cluster", "kind", "--kubeconfig", "a"], 2)]
)
def test_arguments_that_exclude_each_other_are_refused(
    arguments: list[str], code: int, tmp_path: Path
) -> None:
    assert demo(*arguments, folder=tmp_path / "demo").returncode == code
