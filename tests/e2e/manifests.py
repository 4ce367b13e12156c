"""Manifests of the objects that the end-to-end tests create."""

from __future__ import annotations

from typing import Any

GROUP = "modelops.code-chef.dev"
VERSION = f"{GROUP}/v1alpha1"
MANAGED = {f"{GROUP}/managed": "true"}
BASELINE = "modelops-sandbox/name-as-sentence"
PROMPT = {
    "system": "Say in one paragraph what the function does.",
    "user": "{{ inputs.task }}",
    "assistant": "{{ outputs.docstring }}",
    "maxTokens": 128,
}
# Every answer with a text succeeds: with rare successes, such a wide margin would let only a better candidate pass.
EVALUATION = {"scorer": {"type": "tokenF1", "threshold": "0"}, "marginPoints": "45"}
Manifest = dict[str, Any]


def _object(kind: str, name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def agents_file(openrouter: str) -> str:
    """agents.yaml with two agents, with comments, and with a key that the operator does not know."""
    return (
        "# agents and their models\n"
        "agents:\n"
        "  docs: # writes docstrings\n"
        f"    model: {BASELINE}\n"
        "    endpoint: openrouter\n"
        "    version: v1.0.0\n"
        f"    endpoint_url: {openrouter}\n"
        "    api_key_env: OPENROUTER_API_KEY\n"
        "  feature_dev:\n"
        f"    model: {BASELINE} # not ours\n"
        "    owner: somebody else\n"
    )


def config_map(name: str, data: dict[str, str], *, managed: bool = True) -> Manifest:
    """A ConfigMap; with `managed` it has the label that lets the operator use it."""
    labels = MANAGED if managed else {}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": labels},
        "data": data,
    }


def secret(name: str, data: dict[str, str], *, managed: bool = True) -> Manifest:
    """A Secret; with `managed` it has the label that lets the operator use it."""
    labels = MANAGED if managed else {}
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}


def agent_model(*, openrouter: str, train: str, held_out: str, name: str = "docs", **spec: Any) -> Manifest:
    """An AgentModel whose tokens are in the Secret `tokens` and whose file is `agents`."""
    tokens = {"huggingFace": "hf", "langsmith": "langsmith", "openRouter": "openrouter"}
    return _object(
        "AgentModel",
        name,
        {
            "agent": "docs",
            "baseline": {
                "model": BASELINE,
                "endpoint": "openrouter",
                "endpointUrl": openrouter,
                "apiKeyEnv": "OPENROUTER_API_KEY",
            },
            "config": {"configMapRef": {"name": "agents"}},
            "prompt": PROMPT,
            "langsmith": {"trainingDataset": f"ls://{train}", "evaluationDataset": f"ls://{held_out}"},
            "serving": {"accelerator": "cpu", "instanceType": "intel-spr", "instanceSize": "x1"},
            "secretRefs": {kind: {"name": "tokens", "key": key} for kind, key in tokens.items()},
            **spec,
        },
    )


def training_run(name: str, *, base_model: str | None, agent: str = "docs", **spec: Any) -> Manifest:
    """A TrainingRun on the cheapest flavor."""
    return _object(
        "TrainingRun",
        name,
        {
            "agentModelRef": {"name": agent},
            **({"baseModel": base_model} if base_model else {}),
            "maxUSD": "5",
            "backend": {"huggingFace": {"flavor": "cpu-basic"}},
            "config": {"numEpochs": 1},
            **spec,
        },
    )


def rollout(name: str, candidate: Manifest, *, agent: str = "docs", **spec: Any) -> Manifest:
    """A Rollout in two weighted steps; wide margins, so that forty examples are enough to pass."""
    steps = [{"setWeight": 50}, {"pause": {"durationSeconds": 1}}, {"setWeight": 100}]
    return _object(
        "Rollout",
        name,
        {
            "agentModelRef": {"name": agent},
            "candidate": candidate,
            "maxUSD": "5",
            "evaluation": EVALUATION,
            "strategy": {"canary": {"steps": steps}},
            "analysis": {"minRequests": 1, "latencyFloorMilliseconds": 60000},
            "progressDeadlineSeconds": 600,
            **spec,
        },
    )


IMMEDIATE: Manifest = {"strategy": {"immediate": {}}}
