"""A shell completes commands, flags, choices, and names that the cluster has."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from tests.conftest import Kubectl
from tests.patience import patient
from tests.unit.docs.pages import ROOT

from modelops.localcluster import LocalCluster

GROUP = "modelops.code-chef.dev"


def completions(line: str, kubeconfig: Path | str) -> list[str]:
    """What the program answers to a shell, by argcomplete's protocol: on file descriptor 8."""
    environment = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "KUBECONFIG": str(kubeconfig),
    }
    command = f'exec "{sys.executable}" -m modelops.cli 8>&1 9>&2 1>/dev/null'
    done = subprocess.run(
        ["/bin/sh", "-c", command], env=environment, capture_output=True, text=True, timeout=patient(30)
    )
    return [word.strip() for word in done.stdout.split("\n") if word.strip()]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("modelops tr", {"train"}),
        ("modelops ", {"train", "evaluate", "deploy", "watch", "rollback", "operator"}),
        ("modelops deploy docs --str", {"--strategy"}),
        ("modelops train docs --method ", {"sft", "dpo", "orpo"}),
        ("modelops nonsense ", set()),
    ],
)
def test_commands_flags_and_choices_are_completed(line: str, expected: set[str], tmp_path: Path) -> None:
    assert expected <= set(completions(line, tmp_path / "none"))


def test_names_are_completed_from_the_cluster_that_the_line_names(
    cluster: LocalCluster, kubectl: Kubectl, namespace: str
) -> None:
    for name in ("one", "other"):
        spec = '{"agentModelRef": {"name": "docs"}, "maxUSD": "1"}'
        manifest = f'{{"apiVersion": "{GROUP}/v1alpha1", "kind": "TrainingRun", "metadata": {{"name": "{name}"}}, "spec": {spec}}}'
        kubectl("create", "-f", "-", input=manifest, namespace=namespace, check=True)
    assert completions(f"modelops cancel -n {namespace} o", cluster.kubeconfig) == ["one", "other"]
    assert completions(f"modelops watch -n {namespace} on", cluster.kubeconfig) == ["one"]


def test_a_cluster_that_does_not_answer_does_not_hold_the_shell(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: x\n"
        "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n"
        "users: [{name: u, user: {token: t}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
    )
    started = time.monotonic()
    assert "one" not in completions("modelops cancel ", file)
    assert time.monotonic() - started < patient(10)


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A folder for PATH with what an installation puts there for kubectl."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for name in ("kubectl-modelops", "kubectl_complete-modelops"):
        module, _, function = scripts[name].partition(":")
        program = f"import sys; from {module} import {function}; sys.exit({function}())"
        (tmp_path / name).write_text(f"#!{sys.executable}\n{program}\n")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def run_kubectl(cluster: LocalCluster, plugin: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PATH": f"{plugin}:{os.environ['PATH']}",
        "KUBECONFIG": str(cluster.kubeconfig),
    }
    command = [str(cluster.kubectl), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=patient(60))


def test_kubectl_runs_it_as_a_plugin(cluster: LocalCluster, plugin: Path, namespace: str) -> None:
    assert "kubectl-modelops" in run_kubectl(cluster, plugin, "plugin", "list").stdout
    shown = run_kubectl(cluster, plugin, "modelops", "spend", "-n", namespace)
    assert (shown.returncode, shown.stdout) == (0, f"namespace {namespace} has no AgentModel\n")
    assert run_kubectl(cluster, plugin, "modelops", "--help").stdout.startswith("usage: kubectl modelops ")
    wrong = run_kubectl(cluster, plugin, "modelops", "trian")
    assert (wrong.returncode, "did you mean train?" in wrong.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["tr"], ["train\ttrain a better model for an agent"]),
        (["train", "docs", "--method", ""], ["sft", "dpo", "orpo"]),
        (["train", "docs", "--meth"], ["--method\tdefault: sft"]),
        (["dataset", "co"], ["collect\tmake a dataset of an agent's failures in production"]),
        (["cancel", "-n", "NAMESPACE", "on"], ["one"]),
        (["cancel", "it's", "$(date)"], []),
    ],
    ids=lambda value: " ".join(value),
)
def test_kubectl_completes_its_words(
    cluster: LocalCluster,
    kubectl: Kubectl,
    plugin: Path,
    namespace: str,
    words: list[str],
    expected: list[str],
) -> None:
    spec = {"agentModelRef": {"name": "docs"}, "maxUSD": "1"}
    manifest = {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "TrainingRun",
        "metadata": {"name": "one"},
        "spec": spec,
    }
    kubectl("create", "-f", "-", input=json.dumps(manifest), namespace=namespace, check=True)
    given = [word.replace("NAMESPACE", namespace) for word in words]
    answer = run_kubectl(cluster, plugin, "__complete", "modelops", *given)
    *found, directive = answer.stdout.splitlines()
    assert ([one.rstrip() for one in found], directive) == (expected, ":4"), answer


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_what_the_shell_can_read(shell: str) -> None:
    script = subprocess.run(
        [sys.executable, "-m", "modelops.cli", "completion", shell],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "modelops" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True, timeout=patient(30))
