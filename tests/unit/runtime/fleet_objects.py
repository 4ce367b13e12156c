"""Objects as the API server stores them, for the metrics: small, with exactly what is measured."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from modelops.adapters.reports import ReportStore
from modelops.api.v1alpha1.names import MANAGED_LABEL, RECORD_LABEL, record_name
from modelops.domain.record import Record, Target, initial_record
from modelops.engine.agent_processes import AgentProcesses
from modelops.engine.cache import ObjectCache
from modelops.engine.cluster_reader import ClusterReader
from modelops.engine.executor import CONFIG_MAPS
from modelops.engine.resources import AGENT_MODELS, ROLLOUTS, TRAINING_RUNS
from modelops.engine.watched_job import JobObservation
from modelops.ports import Json
from modelops.runtime.object_metrics import ObjectMetrics

NOW = datetime(2025, 12, 10, 12, 0, tzinfo=UTC)
STABLE = Target(
    version="v1.0.0", model="m", endpoint="openrouter", endpoint_url="https://o/v1", api_key_env="K"
)


class FixedClock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.moment = NOW

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()


class FakeFleet:
    """A cache with the metrics of its objects over it."""

    def __init__(self) -> None:
        self.clock = FixedClock()
        self.cache = ObjectCache(monotonic=self.clock.monotonic)
        self.reports = ReportStore(clock=self.clock)
        self.jobs: dict[str, JobObservation] = {}
        reader = ClusterReader(_no_api(), self.cache, self.clock)
        agents = AgentProcesses(reader=reader, reports=self.reports)
        self.metrics = ObjectMetrics(agents, observe=self.jobs.get)
        self._versions = 0

    def put(self, item: Json) -> None:
        """Stores the object as the newest version."""
        self._versions += 1
        item["metadata"]["resourceVersion"] = str(self._versions)
        self.cache.put(_RESOURCES[item["kind"]], item)

    def delete(self, kind: str, name: str, namespace: str = "team") -> None:
        """Removes the object, if it is there."""
        self.cache.remove(_RESOURCES[kind], namespace, name)

    def samples(self) -> dict[str, float]:
        """All samples by name and labels."""
        lines = self.metrics.render().decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}


_RESOURCES = {
    "AgentModel": AGENT_MODELS,
    "TrainingRun": TRAINING_RUNS,
    "Rollout": ROLLOUTS,
    "ConfigMap": CONFIG_MAPS,
}


def _no_api() -> Any:
    return None


def agent_model(name: str = "docs", *, ready: tuple[str, str] = ("True", "Reconciled"), **spec: Any) -> Json:
    condition = {
        "type": "Ready",
        "status": ready[0],
        "reason": ready[1],
        "lastTransitionTime": "2025-12-10T11:00:00Z",
    }
    return _object(
        "AgentModel",
        name,
        {
            "agent": name,
            "baseline": {
                "model": "m",
                "endpoint": "openrouter",
                "endpointUrl": "https://o/v1",
                "apiKeyEnv": "KEY",
            },
            "config": {"configMapRef": {"name": "agents", "key": "agents.yaml"}},
            "budget": {"monthlyUSD": "40"},
            "secretRefs": {"huggingFace": {"name": "tokens", "key": "token"}},
            **spec,
        },
        {"conditions": [condition]},
    )


def training_run(name: str, *, agent: str = "docs", **status: Any) -> Json:
    spec = {"agentModelRef": {"name": agent}, "method": "dpo", "maxUSD": "10"}
    return _object("TrainingRun", name, spec, status)


def rollout(name: str, *, agent: str = "docs", **status: Any) -> Json:
    spec = {"agentModelRef": {"name": agent}, "candidate": {"version": "v1.0.0"}, "maxUSD": "10"}
    return _object("Rollout", name, spec, status)


def record_map(agent: str = "docs", **changes: Any) -> Json:
    record: Record = initial_record(
        agent=agent, config_map="agents", config_key="agents.yaml", stable=STABLE, now="2025-12-01T00:00:00Z"
    ).with_(**changes)
    item = _object("ConfigMap", record_name(agent), {}, {})
    item["metadata"]["labels"] = {RECORD_LABEL: agent, MANAGED_LABEL: "true"}
    return {"kind": "ConfigMap", "metadata": item["metadata"], "data": record.to_data()}


def agents_file(text: str) -> Json:
    item = _object("ConfigMap", "agents", {}, {})
    item["metadata"]["labels"] = {MANAGED_LABEL: "true"}
    return {"kind": "ConfigMap", "metadata": item["metadata"], "data": {"agents.yaml": text}}


def _object(kind: str, name: str, spec: Json, status: Json) -> Json:
    return {
        "apiVersion": "modelops.code-chef.dev/v1alpha1",
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": f"uid-{kind}-{name}",
            "generation": 1,
            "creationTimestamp": "2025-12-10T08:00:00Z",
        },
        "spec": spec,
        "status": status,
    }
