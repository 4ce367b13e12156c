"""A TrainingRun, its AgentModel, record and Secret, as the API server stores them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from modelops.api.v1alpha1.names import API_VERSION, FINALIZER, MANAGED_LABEL, record_name
from modelops.domain.record import Record, Target, initial_record
from modelops.ports import Json

NOW = datetime(2025, 12, 9, 22, 0, tzinfo=UTC)
CREATED = "2025-12-09T21:00:00Z"
NAMESPACE, AGENT, RUN = "team", "docs", "docs-1"
INSTALLATION, ORG = "0a1b2c3d", "appsmithery"
RUN_UID = "7f3c1c62-0000-4000-8000-000000000001"
DEFAULTS = {"default_training_config": {"learning_rate": 2e-5, "num_epochs": 3}, "methods": {}}

STABLE = Target(
    version="v1.0.0",
    model="anthropic/claude-3.5-haiku",
    endpoint="openrouter",
    endpoint_url="https://openrouter.ai/api/v1",
    api_key_env="OPENROUTER_API_KEY",
)


def metadata(name: str, *, uid: str, version: str = "1", **more: Any) -> Json:
    return {
        "name": name,
        "namespace": NAMESPACE,
        "uid": uid,
        "resourceVersion": version,
        "generation": 1,
        "creationTimestamp": CREATED,
        **more,
    }


def agent_model_json(*, uid: str = "agent-uid", **spec: Any) -> Json:
    """`spec`: fields that differ from the usual ones; None leaves a field out."""
    fields: Json = {
        "agent": "docs",
        "baseline": {
            "model": STABLE.model,
            "endpoint": STABLE.endpoint,
            "endpointUrl": STABLE.endpoint_url,
            "apiKeyEnv": STABLE.api_key_env,
        },
        "config": {"configMapRef": {"name": "agents", "key": "agents.yaml"}},
        "prompt": {"user": "{{ inputs.task }}", "assistant": "{{ outputs.docstring }}"},
        "langsmith": {"trainingDataset": "ls://docs-examples"},
        "budget": {"monthlyUSD": "100", "approvalAboveUSD": "10"},
        "secretRefs": {"huggingFace": {"name": "tokens", "key": "token"}},
        **spec,
    }
    kept = {key: value for key, value in fields.items() if value is not None}
    return {
        "apiVersion": API_VERSION,
        "kind": "AgentModel",
        "metadata": metadata(AGENT, uid=uid),
        "spec": kept,
    }


def run_json(
    *, uid: str = RUN_UID, status: Json | None = None, meta: Json | None = None, **spec: Any
) -> Json:
    fields: Json = {
        "agentModelRef": {"name": AGENT},
        "baseModel": "Qwen/Qwen2.5-Coder-7B",
        "method": "sft",
        "maxUSD": "10",
        "dataset": {},
        "backend": {"huggingFace": {"flavor": "a10g-large"}},
        "activeDeadlineSeconds": 14400,
        **spec,
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "TrainingRun",
        "metadata": {**metadata(RUN, uid=uid, finalizers=[FINALIZER]), **(meta or {})},
        "spec": fields,
        "status": status or {},
    }


def prepared_status() -> Json:
    """The status of a run that has only a dataset and a price."""
    return {
        "observedGeneration": 1,
        "phase": "Submitting",
        "reason": "DatasetPrepared",
        "startedAt": CREATED,
        "baseRevision": "b" * 40,
        "dataset": {
            "langsmithId": "0d6c0000-0000-4000-8000-000000000002",
            "asOf": "2025-12-09T20:00:00+00:00",
            "rows": 150,
            "train": 135,
            "test": 15,
            "tokens": 30000,
            "longestTokens": 512,
            "digest": "sha256:" + "d" * 64,
            "repo": f"{ORG}/code-chef-docs-20251209-210000-7f3c1c-data",
            "revision": "d" * 40,
        },
        "estimate": {
            "lowUSD": "0.15",
            "highUSD": "0.375",
            "lowMinutes": 6,
            "highMinutes": 15,
            "flavor": "a10g-large",
            "usdPerHour": "1.50",
        },
    }


def empty_record() -> Record:
    return initial_record(
        agent="docs",
        config_map="agents",
        config_key="agents.yaml",
        stable=STABLE,
        now="2025-12-01T00:00:00+00:00",
    )


def record_json(record: Record, *, uid: str = "record-uid") -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(record_name(AGENT), uid=uid, labels={MANAGED_LABEL: "true"}),
        "data": record.to_data(),
    }


def secret_json() -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata("tokens", uid="secret-uid", labels={MANAGED_LABEL: "true"}),
        "data": {"token": "aGZfc2FuZGJveF90b2tlbg=="},
    }
