"""`modelops approve` shows the offer of a run and approves exactly that offer, in the caller's name."""

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
from tests.patience import patient

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
    """A person at a command line, in a namespace with a run that waits for an approval."""

    def __init__(self, cluster: LocalCluster, kubectl: Kubectl, namespace: str, user: str) -> None:
        self._cluster, self._kubectl, self.namespace, self.user = cluster, kubectl, namespace, user

    def approve(self, *more: str, types: str = "", name: str = RUN) -> Done:
        command = [sys.executable, "-m", "modelops.cli", "approve", name, "-n", self.namespace, *more]
        command += ["--kubeconfig", str(self._cluster.kubeconfig_for(self.user))]
        return subprocess.run(command, input=types, capture_output=True, text=True, timeout=patient(60))

    def set_pending(self, *, valid: timedelta = timedelta(hours=1), name: str = RUN, **status: Any) -> None:
        """Write the status of a run that waits for an approval. Here the admin plays the operator."""
        until = (datetime.now(UTC) + valid).strftime("%Y-%m-%dT%H:%M:%SZ")
        pending = {
            "phase": "AwaitingApproval",
            "reason": "NeedsApproval",
            "approvalDigest": DIGEST,
            "baseRevision": "b" * 40,
            "dataset": DATA,
            "estimate": {**OFFER, "validUntil": until},
            **status,
        }
        patch = json.dumps({"status": pending})
        options = ("--subresource=status", "--type=merge", "-p", patch)
        self._kubectl("patch", f"trainingruns.{GROUP}", name, *options, namespace=self.namespace, check=True)

    @property
    def approval(self) -> Any:
        shown = self._kubectl(
            "get", f"trainingruns.{GROUP}", RUN, "-o", "json", namespace=self.namespace, check=True
        )
        return json.loads(shown.stdout)["spec"].get("approval")


@pytest.fixture
def alice(cluster: LocalCluster, kubectl: Kubectl, namespace: str) -> Iterator[Person]:
    """A user who may approve; the admission policies are installed."""
    with installed_policies(kubectl, namespace, operator="admin"):
        kubectl("create", "-f", SAMPLES / "trainingrun-docs.yaml", namespace=namespace, check=True)
        bind(kubectl, namespace, "alice", "modelops-approver")
        yield Person(cluster, kubectl, namespace, "alice")


def test_command_shows_the_offer_and_approves_it(alice: Person) -> None:
    alice.set_pending()
    done = alice.approve("--yes")
    assert done.returncode == 0, done.stderr
    parts = (
        RUN,
        "unknown (spec.requestedBy is empty)",
        "docs",
        "Qwen/Qwen2.5-Coder-7B-Instruct @ bbbbbbbbbbbb",
        "sft",
        "150 rows",
    )
    cost = (
        "a10g-large at $3.60 an hour",
        "$12 to $31.50",
        "200 to 525 minutes",
        "at most $5 (spec.maxUSD)",
        DIGEST,
        "approved by alice",
    )
    assert not [part for part in (*parts, *cost) if part not in done.stdout], done.stdout
    assert alice.approval == {"approvedBy": "alice", "digest": DIGEST}
    assert "already approved by alice" in alice.approve().stdout


def test_without_a_yes_nothing_is_approved(alice: Person) -> None:
    alice.set_pending()
    for answer in ("", "n\n", "maybe\n"):
        done = alice.approve(types=answer)
        assert (done.returncode, alice.approval) == (1, None), done
        assert "not approved" in done.stderr
    assert alice.approve(types="y\n").returncode == 0
    assert alice.approval["approvedBy"] == "alice"


def test_run_without_a_valid_offer_is_refused_with_the_reason(alice: Person) -> None:
    done = alice.approve("--yes")
    assert (done.returncode, "does not wait for an approval: it is Pending" in done.stderr) == (1, True), done
    alice.set_pending(valid=-timedelta(minutes=1))
    done = alice.approve("--yes")
    assert (done.returncode, "expired" in done.stderr) == (1, True), done
    assert alice.approval is None


def test_estimate_is_refused_because_nothing_of_it_is_paid(alice: Person, kubectl: Kubectl) -> None:
    estimate = (SAMPLES / "trainingrun-docs.yaml").read_text() + "  estimateOnly: true\n"
    kubectl("replace", "--force", "-f", "-", input=estimate, namespace=alice.namespace, check=True)
    done = alice.approve("--yes")
    assert (done.returncode, "spec.estimateOnly" in done.stderr, alice.approval) == (1, True, None), done


def test_user_without_the_permission_is_told_what_is_missing(
    alice: Person, cluster: LocalCluster, kubectl: Kubectl
) -> None:
    alice.set_pending()
    bind(kubectl, alice.namespace, "bob", "modelops-developer")
    done = Person(cluster, kubectl, alice.namespace, "bob").approve("--yes")
    assert (done.returncode, "bob has not" in done.stderr) == (1, True), done
    assert alice.approval is None


def test_self_approval_is_refused_where_the_agent_forbids_it(alice: Person, kubectl: Kubectl) -> None:
    agent = (SAMPLES / "agentmodel-docs.yaml").read_text() + "  approvalPolicy: {forbidSelfApproval: true}\n"
    kubectl("create", "-f", "-", input=agent, namespace=alice.namespace, check=True)
    own = (SAMPLES / "trainingrun-docs.yaml").read_text() + "  requestedBy: alice\n"
    kubectl("replace", "--force", "-f", "-", input=own, namespace=alice.namespace, check=True)
    alice.set_pending()
    done = alice.approve("--yes")
    assert (done.returncode, "alice requested this run" in done.stderr) == (1, True), done
    assert alice.approval is None


def test_command_works_as_a_kubectl_plugin(
    cluster: LocalCluster, kubectl: Kubectl, namespace: str, tmp_path: Path
) -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert scripts["kubectl-modelops"] == scripts["modelops"]
    plugin = tmp_path / "kubectl-modelops"
    plugin.write_text(f'#!/bin/sh\nexec {sys.executable} -m modelops.cli "$@"\n')
    plugin.chmod(0o755)
    kubectl("create", "-f", SAMPLES / "trainingrun-docs.yaml", namespace=namespace, check=True)
    Person(cluster, kubectl, namespace, "admin").set_pending()
    done = subprocess.run(
        [cluster.kubectl, "modelops", "approve", RUN, "-n", namespace, "--yes"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "KUBECONFIG": str(cluster.kubeconfig)},
        capture_output=True,
        text=True,
        timeout=patient(60),
    )
    assert done.returncode == 0, done.stderr
    assert "approved by admin" in done.stdout


ROLLOUT = "docs-v1-1"
ROLLOUT_OFFER = {
    "stage": "Cost",
    "highUSD": "31.40",
    "evaluationUSD": "1.40",
    "callsUSD": "0.40",
    "canaryUSD": "30.00",
    "examples": 345,
    "standingUSDPerMonth": "730.00",
    "why": "the cost is above spec.budget.approvalAboveUSD $10 of AgentModel docs",
    "askedAt": "2026-01-01T00:00:00Z",
}


def rollout_waits(kubectl: Kubectl, namespace: str) -> None:
    """A Rollout whose status has an offer. Here the admin plays the operator."""
    kubectl("create", "-f", SAMPLES / "rollout-docs.yaml", namespace=namespace, check=True)
    until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    pending = {
        "phase": "AwaitingApproval",
        "reason": "NeedsApproval",
        "approvalDigest": DIGEST,
        "offer": {**ROLLOUT_OFFER, "validUntil": until},
    }
    patch = json.dumps({"status": pending})
    options = ("--subresource=status", "--type=merge", "-p", patch)
    kubectl("patch", f"rollouts.{GROUP}", ROLLOUT, *options, namespace=namespace, check=True)


def test_an_offer_of_a_rollout_is_shown_with_its_price_through_to_production_and_approved(
    alice: Person, cluster: LocalCluster, kubectl: Kubectl
) -> None:
    rollout_waits(kubectl, alice.namespace)
    bind(kubectl, alice.namespace, "bob", "modelops-developer")
    refused = Person(cluster, kubectl, alice.namespace, "bob").approve("--yes", name=ROLLOUT)
    assert (refused.returncode, "bob has not" in refused.stderr) == (1, True), refused
    for by, digest in (("bob", DIGEST), ("alice", "sha256:" + "b" * 64)):
        forged = json.dumps({"spec": {"approval": {"approvedBy": by, "digest": digest}}})
        done = kubectl(
            *("patch", f"rollouts.{GROUP}", ROLLOUT, "--type=merge", "-p", forged, "--as=alice"),
            namespace=alice.namespace,
        )
        assert done.returncode != 0, done.stdout

    done = alice.approve("--yes", name=f"rollout/{ROLLOUT}")
    assert done.returncode == 0, done.stderr
    shown = (
        "the model of TrainingRun docs-2025-12-09",
        "above spec.budget.approvalAboveUSD $10",
        "up to $31.40",
        "$730.00 a month; the stable model costs per call",
        "approved by alice",
    )
    assert not [part for part in shown if part not in done.stdout], done.stdout
    stored = kubectl("get", f"rollouts.{GROUP}", ROLLOUT, "-o", "json", namespace=alice.namespace, check=True)
    assert json.loads(stored.stdout)["spec"]["approval"] == {"approvedBy": "alice", "digest": DIGEST}


def test_a_name_that_a_run_and_a_rollout_share_is_asked_for_with_its_kind(
    alice: Person, kubectl: Kubectl
) -> None:
    rollout_waits(kubectl, alice.namespace)
    run = (SAMPLES / "trainingrun-docs.yaml").read_text().replace(f"name: {RUN}", f"name: {ROLLOUT}")
    kubectl("create", "-f", "-", input=run, namespace=alice.namespace, check=True)
    alice.set_pending(name=ROLLOUT)
    done = alice.approve("--yes", name=ROLLOUT)
    assert (done.returncode, f"trainingrun/{ROLLOUT}" in done.stderr) == (1, True), done
    assert alice.approve("--yes", name=f"trainingrun/{ROLLOUT}").returncode == 0
