"""A shell completes commands, flags, choices, and names that the cluster has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.conftest import Kubectl
from tests.patience import patient

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
