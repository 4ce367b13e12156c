"""`modelops sync` on a real API server."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.cluster.docs_preconditions import Kubectl
from tests.cluster.test_cli_tools import Terminal
from tests.patience import deadline_after, patient

from modelops.localcluster import LocalCluster


@pytest.fixture
def terminal(cluster: LocalCluster, kubectl: Kubectl, namespace: str) -> Terminal:
    return Terminal(cluster, kubectl, namespace)


def test_it_mirrors_both_files_and_says_why_it_does_not(terminal: Terminal, tmp_path: Path) -> None:
    folder = tmp_path / "routing"
    shown = terminal.modelops("sync", "agents", str(folder), "--once").stdout
    assert "agents.yaml: docs: stable" in shown
    assert "registry.json: replaced" in shown
    text = terminal.get("configmap", "agents")["data"]["agents.yaml"]
    assert (folder / "agents.yaml").read_text() == text
    assert "docs" in json.loads((folder / "registry.json").read_text())
    assert terminal.modelops("sync", "agents", str(folder), "--once").stdout == ""

    refused = terminal.modelops("sync", "other", str(folder), "--once", expect=1).stderr
    assert "ConfigMap other does not exist" in refused
    terminal.change("configmap", "agents", {"data": {"agents.yaml": "agents: ["}})
    assert "not valid YAML" in terminal.modelops("sync", "agents", str(folder), "--once", expect=1).stderr
    assert (folder / "agents.yaml").read_text() == text


def test_it_follows_changes_until_it_is_interrupted(terminal: Terminal, tmp_path: Path) -> None:
    text = terminal.get("configmap", "agents")["data"]["agents.yaml"]
    command = [sys.executable, "-m", "modelops.cli", "sync", "agents", str(tmp_path), "--interval", "0.2"]
    more = ["--no-registry", "-n", terminal.namespace, "--kubeconfig", str(terminal.kubeconfig)]
    with subprocess.Popen([*command, *more], stdout=subprocess.PIPE, text=True) as process:
        try:
            copy = tmp_path / "agents.yaml"
            _await(lambda: copy.exists() and copy.read_text() == text)
            terminal.change("configmap", "agents", {"data": {"agents.yaml": text + "# edited\n"}})
            _await(lambda: copy.read_text() == text + "# edited\n")
            assert not (tmp_path / "registry.json").exists()
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(patient(10)) == 130


def _await(condition) -> None:  # type: ignore[no-untyped-def]
    until = deadline_after(15)
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)
