"""Puts a namespace into the state that a command of the documentation expects, as the operator would have written it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from modelops.api.v1alpha1.names import MANAGED_LABEL, RECORD_LABEL, record_name
from modelops.domain import agentsfile
from modelops.domain.agentsfile import CanaryTarget, RolloutMark, RoutingBlock
from modelops.domain.record import Target, initial_record

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]

SAMPLES = Path(__file__).parents[2] / "config" / "samples"
MOMENT = "2025-12-09T22:00:00Z"
GROUP = "modelops.code-chef.dev"


class Preconditions:
    """Establishes preconditions in one namespace. Samples that the page has not applied yet are applied first."""

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self._kubectl = kubectl
        self._namespace = namespace

    def establish(self, name: str) -> None:
        """Establishes the precondition with this name. Raises KeyError for an unknown name."""
        {
            "agent": self._agent,
            "run": self._run,
            "estimate": self._estimate,
            "asked": self._awaiting_approval,
            "rollout": self._rollout,
            "canary": self._canary,
        }[name]()

    def agents_file(self) -> str:
        """The text of agents.yaml."""
        found: str = self._get("configmap", "agents")["data"]["agents.yaml"]
        return found

    def _agent(self) -> None:
        """The AgentModel is ready and has a record."""
        self._apply("agents-configmap.yaml", "agentmodel-docs.yaml")
        self._status("agentmodels", "docs", {"conditions": [_condition("Ready", "Reconciled")]})
        stable = Target(
            version="v1.0.0",
            model="anthropic/claude-3.5-haiku",
            endpoint="openrouter",
            endpoint_url="https://openrouter.ai/api/v1",
            api_key_env="OPENROUTER_API_KEY",
        )
        record = initial_record(
            agent="docs", config_map="agents", config_key="agents.yaml", stable=stable, now=MOMENT
        )
        labels = {RECORD_LABEL: "docs", MANAGED_LABEL: "true"}
        item = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": record_name("docs"), "labels": labels},
            "data": record.to_data(),
        }
        self._kubectl_in_namespace("apply", "-f", "-", input=json.dumps(item))

    def _run(self) -> None:
        """The TrainingRun has succeeded."""
        self._apply("agentmodel-docs.yaml", "trainingrun-docs.yaml")
        ended = {"phase": "Succeeded", "costUSD": "0.87", "conditions": [_condition("Finished", "Trained")]}
        self._status("trainingruns", "docs-2025-12-09", ended)

    def _estimate(self) -> None:
        """The TrainingRun with spec.estimateOnly has ended with its price."""
        self._apply("agentmodel-docs.yaml", "trainingrun-docs-estimate.yaml")
        conditions = [_condition(kind, "Estimated") for kind in ("Ready", "Finished")]
        self._status(
            "trainingruns", "docs-2025-12-09-estimate", {"phase": "Succeeded", "conditions": conditions}
        )

    def _awaiting_approval(self) -> None:
        """The TrainingRun waits for an approval."""
        self._apply("agentmodel-docs.yaml", "trainingrun-docs.yaml")
        until = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
        money = {"lowUSD": "8", "highUSD": "12", "usdPerHour": "1.50"}
        offer = {**money, "lowMinutes": 320, "highMinutes": 480, "flavor": "a10g-large", "validUntil": until}
        awaiting = {"phase": "AwaitingApproval", "estimate": offer, "approvalDigest": f"sha256:{'a' * 64}"}
        cleared = dict.fromkeys(("costUSD", "job", "finishedAt"))
        self._status("trainingruns", "docs-2025-12-09", {**awaiting, **cleared, "conditions": []})

    def _rollout(self) -> None:
        """The Rollout has succeeded."""
        self._apply("rollout-docs.yaml")
        conditions = [_condition("Evaluated", "EvaluationPassed"), _condition("Finished", "Promoted")]
        self._status("rollouts", "docs-v1-1", {"phase": "Succeeded", "conditions": conditions})

    def _canary(self) -> None:
        """The Rollout is the agent's active rollout, and its canary has 20 percent of the sessions."""
        uid = self._get(f"rollouts.{GROUP}", "docs-v1-1")["metadata"]["uid"]
        self._status("rollouts", "docs-v1-1", {"phase": "Progressing", "conditions": []})
        self._status("agentmodels", "docs", {"activeRollout": {"name": "docs-v1-1", "uid": uid}})
        canary = CanaryTarget(weight=20, model="a/b", endpoint="huggingface", version="v1.1.0-rc.1")
        block = RoutingBlock(
            generation=1, salt=uid, rollout=RolloutMark(uid, 1, "Progressing"), canary=canary
        )
        text = agentsfile.with_routing(self.agents_file(), "docs", block)
        patch = json.dumps({"data": {"agents.yaml": text}})
        self._kubectl_in_namespace("patch", "configmap", "agents", "--type=merge", "-p", patch)

    def _apply(self, *names: str) -> None:
        for name in names:
            self._kubectl_in_namespace("apply", "-f", str(SAMPLES / name))

    def _status(self, plural: str, name: str, status: dict[str, Any]) -> None:
        patch = json.dumps({"status": status})
        self._kubectl_in_namespace(
            "patch", f"{plural}.{GROUP}", name, "--subresource=status", "--type=merge", "-p", patch
        )

    def _get(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._kubectl_in_namespace("get", kind, name, "-o", "json"))
        return found

    def _kubectl_in_namespace(self, *arguments: str, input: str | None = None) -> str:
        return self._kubectl(*arguments, namespace=self._namespace, input=input, check=True).stdout


def _condition(kind: str, reason: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": "as in the guide",
        "observedGeneration": 1,
        "lastTransitionTime": MOMENT,
    }
