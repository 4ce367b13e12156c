"""Objects as people write them, and the agents' file: what the tests of rollouts start from."""

from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

from modelops.api.v1alpha1.names import API_VERSION, FINALIZER, MANAGED_LABEL, STOP_CONFIG_MAP

Json = dict[str, Any]

NAMESPACE = "team"
AGENT_MODEL = "docs"
AGENT = "docs"
FILE = "agents"
RECORD = "docs-modelops-record"
START = datetime(2025, 12, 10, 9, 0, tzinfo=UTC)

BASELINE: Json = {
    "model": "anthropic/claude-3.5-sonnet",
    "endpoint": "openrouter",
    "endpointUrl": "https://openrouter.ai/api/v1",
    "apiKeyEnv": "OPENROUTER_API_KEY",
}
FILE_TEXT = """\
# Which model serves which agent.
agents:
  docs:
    model: anthropic/claude-3.5-sonnet
    endpoint: openrouter
    version: v1.0.0
    endpoint_url: https://openrouter.ai/api/v1
    api_key_env: OPENROUTER_API_KEY
  cicd: {model: other}  # not ours
"""
PAUSE_SECONDS = 10


def repo_of(rollout: str) -> str:
    """The candidate's repository of a rollout of these tests."""
    return f"org/candidate-of-{rollout}"


def revision_of(rollout: str) -> str:
    return rollout.encode().hex().ljust(40, "0")[:40]


def agent_model(**spec: Any) -> Json:
    return {
        "apiVersion": API_VERSION,
        "kind": "AgentModel",
        "metadata": {
            "namespace": NAMESPACE,
            "name": AGENT_MODEL,
            "uid": "uid-agentmodel",
            "resourceVersion": "1",
            "generation": 1,
            "creationTimestamp": "2025-12-01T00:00:00Z",
            "finalizers": [FINALIZER],
        },
        "spec": {
            "agent": AGENT,
            "baseline": BASELINE,
            "config": {"configMapRef": {"name": FILE, "key": "agents.yaml"}},
            "prompt": {"user": "{{ inputs.task }}", "assistant": "{{ outputs.docstring }}"},
            "langsmith": {"evaluationDataset": "ls://docs-eval", "scorer": {"type": "exact"}},
            "budget": {"monthlyUSD": "1000", "approvalAboveUSD": "500"},
            "secretRefs": {
                "huggingFace": {"name": "tokens", "key": "hf"},
                "openRouter": {"name": "tokens", "key": "openrouter"},
            },
            **spec,
        },
        "status": {},
    }


def canary(*steps: Json) -> Json:
    """A strategy; by default 20 percent, a watched pause, 100 percent."""
    usual: tuple[Json, ...] = (
        {"setWeight": 20},
        {"pause": {"durationSeconds": PAUSE_SECONDS}},
        {"setWeight": 100},
    )
    return {"canary": {"steps": list(steps or usual)}}


def uid_of(name: str, spec: Json) -> str:
    """A uid never comes twice with different specs, as in a cluster: what the operator keeps by it stays true."""
    return (
        f"uid-{name}-{zlib.crc32(json.dumps(spec, sort_keys=True).encode()):08x}" if spec else f"uid-{name}"
    )


def rollout(
    name: str = "r1", *, uid: str | None = None, created: datetime | None = None, **spec: Any
) -> Json:
    return {
        "apiVersion": API_VERSION,
        "kind": "Rollout",
        "metadata": {
            "namespace": NAMESPACE,
            "name": name,
            "uid": uid or uid_of(name, spec),
            "resourceVersion": "1",
            "generation": 1,
            "creationTimestamp": f"{created or START - timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}",
        },
        "spec": {
            "agentModelRef": {"name": AGENT_MODEL},
            "candidate": {"model": {"repo": repo_of(name), "revision": revision_of(name)}},
            "strategy": canary(),
            "maxUSD": "500",
            "progressDeadlineSeconds": 172800,
            **spec,
        },
        "status": {},
    }


def agents_file(text: str = FILE_TEXT) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "namespace": NAMESPACE,
            "name": FILE,
            "uid": "uid-file",
            "resourceVersion": "1",
            "labels": {MANAGED_LABEL: "true"},
        },
        "data": {"agents.yaml": text},
    }


def stop(uid: str = "uid-stop") -> Json:
    """An emergency stop of the namespace, as one line of kubectl creates it: without a label."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": NAMESPACE, "name": STOP_CONFIG_MAP, "uid": uid, "resourceVersion": "1"},
        "data": {"reason": "INC-7", "by": "mia"},
    }


EVALUATION_PASSED: Json = {
    "ok": True,
    "n": 60,
    "as_of": "2025-12-10T00:00:00Z",
    "baseline": {"success": 0.61, "latency_p50_ms": 900, "latency_p95_ms": 1500, "cost_per_1k": "0.003"},
    "candidate": {"success": 0.74, "latency_p50_ms": 300, "latency_p95_ms": 600, "cost_per_1k": "0.0011"},
    "difference_points": "13.3",
    "interval": ["2.1", "24.0"],
    "margin_points": "5",
    "verdict": "pass",
    "recommendation": "deploy",
    "experiment_url": "https://smith.example/experiments/1",
    "recorded": True,
    "explain": "the candidate is 13.3 points better",
}
