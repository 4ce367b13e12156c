"""The objects of a live smoke run, as JSON for kubectl."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from modelops.api.v1alpha1.names import GROUP, MANAGED_LABEL
from modelops.demo.agent import SYSTEM
from modelops.livesmoke.account import Account
from modelops.livesmoke.checks import REGION, VENDOR
from modelops.livesmoke.plan import ANSWERS_USD, Plan
from modelops.livesmoke.run_file import RunIdentity

Manifest = dict[str, Any]
SECRET: Final = "modelops-tokens"
ESTIMATE, TRAINING, ROLLOUT, UNDO = "estimate", "train", "roll-out", "roll-back"
CANARY_WEIGHT: Final = 50


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What a person may choose. `pause_seconds`: healthy seconds of the canary."""

    base_model: str
    baseline_model: str
    flavor: str
    instance: str
    size: str
    pause_seconds: int


def tokens(account: Account) -> Manifest:
    """The Secret with the account's tokens."""
    keys = {"hugging-face": account.hf_token, "langsmith": account.langsmith_key}
    if account.openrouter_key:
        keys["openrouter"] = account.openrouter_key
    return {**_core("Secret", SECRET), "stringData": keys}


def agents_file(account: Account, run: RunIdentity, choices: Choices) -> Manifest:
    """The ConfigMap with agents.yaml, in which the agent is served by the baseline."""
    text = (
        "# a live smoke run of ModelOps\n"
        "agents:\n"
        f"  {run.agent}:\n"
        f"    model: {choices.baseline_model}\n"
        f"    endpoint: {account.baseline_service}\n"
        "    version: v1.0.0\n"
        f"    endpoint_url: {account.baseline_url}\n"
        f"    api_key_env: {account.baseline_token_variable}\n"
    )
    return {**_core("ConfigMap", "agents"), "data": {"agents.yaml": text}}


def agent_model(account: Account, run: RunIdentity, choices: Choices, cap: Decimal) -> Manifest:
    """The AgentModel. Its budget is the cap, so that the operator refuses what would pass it."""
    refs = {"huggingFace": "hugging-face", "langsmith": "langsmith"}
    if account.openrouter_key:
        refs["openRouter"] = "openrouter"
    return _kind(
        "AgentModel",
        run.name,
        {
            "agent": run.agent,
            "baseline": {
                "model": choices.baseline_model,
                "endpoint": account.baseline_service,
                "endpointUrl": account.baseline_url,
                "apiKeyEnv": account.baseline_token_variable,
            },
            "config": {"configMapRef": {"name": "agents"}},
            "prompt": {
                "system": SYSTEM,
                "user": "{{ inputs.task }}",
                "assistant": "{{ outputs.docstring }}",
                "maxTokens": 128,
            },
            "langsmith": {
                "trainingDataset": f"ls://{run.dataset('train')}",
                "evaluationDataset": f"ls://{run.dataset('held-out')}",
            },
            "serving": {
                "vendor": VENDOR,
                "region": REGION,
                "instanceType": choices.instance,
                "instanceSize": choices.size,
                "accelerator": "cpu" if choices.instance.startswith("intel") else "gpu",
            },
            "budget": {"monthlyUSD": str(cap), "approvalAboveUSD": str(cap)},
            "secretRefs": {name: {"name": SECRET, "key": key} for name, key in refs.items()},
        },
    )


def training_run(run: RunIdentity, choices: Choices, *, limit: Decimal, estimate_only: bool) -> Manifest:
    """The training of one epoch, or what it would cost."""
    return _kind(
        "TrainingRun",
        ESTIMATE if estimate_only else TRAINING,
        {
            "agentModelRef": {"name": run.name},
            "baseModel": choices.base_model,
            "method": "sft",
            "maxUSD": str(limit),
            "backoffLimit": 0,
            "activeDeadlineSeconds": 5400,
            "config": {"numEpochs": 1},
            "backend": {"huggingFace": {"flavor": choices.flavor}},
            **({"estimateOnly": True} if estimate_only else {}),
        },
    )


def rollout(run: RunIdentity, choices: Choices, plan: Plan) -> Manifest:
    """Evaluation and canary of the trained model.

    With margins so wide that a dozen examples are enough, since this shows that the services answer, not that the
    model is good.
    """
    return _kind(
        "Rollout",
        ROLLOUT,
        {
            "agentModelRef": {"name": run.name},
            "candidate": {"trainingRunRef": {"name": TRAINING}},
            "maxUSD": str(plan.endpoint + ANSWERS_USD),
            "evaluation": {
                "scorer": {"type": "tokenF1", "threshold": "0"},
                "marginPoints": "45",
                "concurrency": 2,
                "onInconclusive": "Reject",
            },
            "strategy": {
                "canary": {
                    "steps": [
                        {"setWeight": CANARY_WEIGHT},
                        {"pause": {"durationSeconds": choices.pause_seconds}},
                        {"setWeight": 100},
                    ]
                }
            },
            "analysis": {"minRequests": 5, "maxErrorPoints": "50", "latencyFloorMilliseconds": 60000},
            "progressDeadlineSeconds": 3000,
        },
    )


def undo(run: RunIdentity) -> Manifest:
    """The way back to the baseline, which starts no endpoint."""
    return _kind(
        "Rollout",
        UNDO,
        {
            "agentModelRef": {"name": run.name},
            "candidate": {"version": "v1.0.0"},
            "strategy": {"immediate": {}},
            "maxUSD": "1",
        },
    )


def installation(namespace: str, run: RunIdentity, name: str) -> Manifest:
    """The ConfigMap with the installation's id: that of the run."""
    made = _core("ConfigMap", name)
    return {**made, "metadata": {**made["metadata"], "namespace": namespace}, "data": {"id": run.id}}


def _core(kind: str, name: str) -> Manifest:
    metadata: Mapping[str, Any] = {"name": name, "labels": {MANAGED_LABEL: "true"}}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


def _kind(kind: str, name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
