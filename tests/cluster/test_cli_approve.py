"""`modelops approve` shows what is asked and writes exactly that, in the name of who calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.docs_preconditions import GROUP, SAMPLES, Kubectl
from tests.cluster.policies import ROOT, bind, installed_policies

from modelops.localcluster import LocalCluster

RUN = "docs-2025-12-09"
DIGEST = "sha256:" + "a" * 64
OFFER = {
    "lowUSD": "12",
    "highUSD": "31.50",
    "lowMinutes": 200,
    "highMinutes": 525,
    "flavor": "a10g-large",
    "usdPerHour": "3.60",
}
DATA = {"rows": 150, "train": 135, "test": 15, "repo": "org/data", "revision": "d" * 40}
Done = subprocess.CompletedProcess[str]


class Person:
    """Somebody at a command line, in a namespace with a run that asks."""

    def __init__(self, cluster: LocalCluster, kubectl: Kubectl, namespace: str, user: str) -> None:
        self._cluster, self._kubectl, self.namespace, self.user = cluster, kubectl, namespace, user

    def approve(self, *more: str, says: str = "") -> Done:
        command = [sys.executable, "-m", "modelops.cli", "approve", RUN, "-n", self.namespace, *more]
        command += ["--kubeconfig", str(self._cluster.kubeconfig_for(self.user))]
        return subprocess.run(command, input=says, capture_output=True, text=True, timeout=60)

    def asks(self, *, valid: timedelta = timedelta(hours=1), **status: Any) -> None:
        """The operator's status; with the policies it is the admin's here."""
        until = (datetime.now(UTC) + valid).strftime("%Y-%m-%dT%H:%M:%SZ")
        asked = {
            "phase": "AwaitingApproval",
            "reason": "NeedsApproval",
            "approvalDigest": DIGEST,
            "baseRevision": "b" * 40,
            "dataset": DATA,
            "estimate": {**OFFER, "validUntil": until},
            **status,
        }
        patch = json.dumps({"status": asked})
        how = ("--subresource=status", "--type=merge", "-p", patch)
        self._kubectl("patch", f"trainingruns.{GROUP}", RUN, *how, namespace=self.namespace, check=True)

    @property
    def approval(self) -> Any:
        shown = self._kubectl(
            "get", f"trainingruns.{GROUP}", RUN, "-o", "json", namespace=self.namespace, check=True
        )
        return json.loads(shown.stdout)["spec"].get("approval")


@pytest.fixture
def alice(cluster: LocalCluster, kubectl: Kubectl, namespace: str) -> Iterator[Person]:
    """An approver; the policies hold."""
    with installed_policies(kubectl, namespace, operator="admin"):
        kubectl("create", "-f", SAMPLES / "trainingrun-docs.yaml", namespace=namespace, check=True)
        bind(kubectl, namespace, "alice", "modelops-approver")
        yield Person(cluster, kubectl, namespace, "alice")


def test_it_shows_what_is_approved_and_approves_it(alice: Person) -> None:
    alice.asks()
    done = alice.approve("--yes")
    assert done.returncode == 0, done.stderr
    parts = (
        RUN,
        "not said (spec.requestedBy)",
        "docs",
        "Qwen/Qwen2.5-Coder-7B-Instruct @ bbbbbbbbbbbb",
        "sft",
        "150 rows",
    )
    priced = (
        "a10g-large at $3.60 an hour",
        "$12 to $31.50",
        "200 to 525 minutes",
        "at most $5 (spec.maxUSD)",
        DIGEST,
        "approved by alice",
    )
    assert not [part for part in (*parts, *priced) if part not in done.stdout], done.stdout
    assert alice.approval == {"approvedBy": "alice", "digest": DIGEST}
    assert "already approved by alice" in alice.approve().stdout


def test_without_a_yes_nothing_is_approved(alice: Person) -> None:
    alice.asks()
    for says in ("", "n\n", "maybe\n"):
        done = alice.approve(says=says)
        assert (done.returncode, alice.approval) == (1, None), done
        assert "not approved" in done.stderr
    assert alice.approve(says="y\n").returncode == 0
    assert alice.approval["approvedBy"] == "alice"


def test_it_says_why_there_is_nothing_to_approve(alice: Person) -> None:
    done = alice.approve("--yes")
    assert (done.returncode, "asks for no approval: it is Pending" in done.stderr) == (1, True), done
    alice.asks(valid=-timedelta(minutes=1))
    done = alice.approve("--yes")
    assert (done.returncode, "expired" in done.stderr) == (1, True), done
    assert alice.approval is None


def test_who_may_not_is_told_what_is_missing(alice: Person, cluster: LocalCluster, kubectl: Kubectl) -> None:
    alice.asks()
    bind(kubectl, alice.namespace, "bob", "modelops-developer")
    done = Person(cluster, kubectl, alice.namespace, "bob").approve("--yes")
    assert (done.returncode, "bob has not" in done.stderr) == (1, True), done
    assert alice.approval is None


def test_self_approval_is_refused_where_the_agent_forbids_it(alice: Person, kubectl: Kubectl) -> None:
    agent = (SAMPLES / "agentmodel-docs.yaml").read_text() + "  approvalPolicy: {forbidSelfApproval: true}\n"
    kubectl("create", "-f", "-", input=agent, namespace=alice.namespace, check=True)
    own = (SAMPLES / "trainingrun-docs.yaml").read_text() + "  requestedBy: alice\n"
    kubectl("replace", "--force", "-f", "-", input=own, namespace=alice.namespace, check=True)
    alice.asks()
    done = alice.approve("--yes")
    assert (done.returncode, "alice asked for this run" in done.stderr) == (1, True), done
    assert alice.approval is None


def test_it_is_a_plugin_of_kubectl(
    cluster: LocalCluster, kubectl: Kubectl, namespace: str, tmp_path: Path
) -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert scripts["kubectl-modelops"] == scripts["modelops"]
    plugin = tmp_path / "kubectl-modelops"
    plugin.write_text(f'#!/bin/sh\nexec {sys.executable} -m modelops.cli "$@"\n')
    plugin.chmod(0o755)
    kubectl("create", "-f", SAMPLES / "trainingrun-docs.yaml", namespace=namespace, check=True)
    Person(cluster, kubectl, namespace, "admin").asks()
    done = subprocess.run(
        [cluster.kubectl, "modelops", "approve", RUN, "-n", namespace, "--yes"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "KUBECONFIG": str(cluster.kubeconfig)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "approved by admin" in done.stdout
