"""A namespace with an agent, the people who use the MCP server there, and an admin who plays the operator."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from mcp import Client
from mcp.client.session import ClientRequestContext
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult, TextContent
from ruamel.yaml import YAML
from tests.cluster.docs_preconditions import GROUP, SAMPLES, Kubectl, Preconditions
from tests.cluster.policies import RBAC, apply_for_all

from modelops.api.v1alpha1.names import MANAGED_LABEL, RECORD_LABEL, record_name
from modelops.client import Access, AsyncClient, has_finished
from modelops.domain.record import RegistryEntry, Target, initial_record
from modelops.localcluster import LocalCluster
from modelops.mcp_server.server import build_server
from modelops.mcp_server.services import local_services

Mode = Literal["legacy", "auto"]
_SAMPLES = ("agents-configmap.yaml", "agentmodel-docs.yaml")
NEWEST = "v1.1.0-rc.2"
TRAIN = {"agent_name": "docs", "dataset_id": "ls://docs-train", "base_model": "Qwen/Qwen2.5-Coder-7B"}
EVALUATE = {"agent_name": "docs", "candidate_model": "candidate", "metrics": ["accuracy"]}
DEPLOY = {"agent_name": "docs", "model_repo": "org/docs-2", "deployment_target": "huggingface"}
ESTIMATE = {
    "lowUSD": "2",
    "highUSD": "3.5",
    "lowMinutes": 60,
    "highMinutes": 90,
    "flavor": "a10g-large",
    "usdPerHour": "1.50",
}


class Person:
    """Answers the client's questions. `then` happens while the person thinks."""

    def __init__(self, answer: str = "yes", then: Callable[[], None] | None = None) -> None:
        self._answer, self._then = answer, then
        self.questions: list[str] = []

    async def __call__(self, _: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        self.questions.append(params.message)
        if self._then is not None:
            await asyncio.to_thread(self._then)
        if self._answer in ("decline", "cancel"):
            return ElicitResult(action="decline" if self._answer == "decline" else "cancel")
        return ElicitResult(action="accept", content={"confirm": self._answer == "yes"})


class World:
    """The agent `docs` with two trained versions. alice may train, and bob may nothing."""

    _roles_are_there = False

    def __init__(self, cluster: LocalCluster, kubectl: Kubectl, namespace: str) -> None:
        self.cluster, self.kubectl, self.namespace = cluster, kubectl, namespace
        self.preconditions = Preconditions(kubectl, namespace)
        if not World._roles_are_there:
            apply_for_all(kubectl, "-f", RBAC)
            World._roles_are_there = True
        samples = [
            one for name in _SAMPLES for one in YAML(typ="safe").load_all((SAMPLES / name).read_text())
        ]
        roles = [_binding("alice", "modelops-developer"), _binding("alice", "view")]
        items = [*samples, _record(), *roles]
        manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        kubectl("create", "-f", "-", namespace=namespace, input=manifest, check=True)

    @asynccontextmanager
    async def client(
        self, mode: Mode = "auto", *, user: str = "alice", person: Person | None = None, **services: Any
    ) -> AsyncIterator[Client]:
        """A client of a server in the name of a user, in this process. Without a person it cannot ask."""
        access = Access(kubeconfig=str(self.cluster.kubeconfig_for(user)), namespace=self.namespace)
        server = build_server(local_services(access, **services))
        async with Client(server, mode=mode, elicitation_callback=person) as client:
            yield client

    @asynccontextmanager
    async def operator(self) -> AsyncIterator[None]:
        """Somebody who ends each estimate, as the operator would."""
        task = asyncio.create_task(self._end_estimates())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _end_estimates(self) -> None:
        access = Access(kubeconfig=str(self.cluster.kubeconfig), namespace=self.namespace)
        async with AsyncClient(access) as admin:
            async for event in admin.training_runs.watch():
                run = event.value
                if run is not None and run.spec.estimate_only and not has_finished(run):
                    await asyncio.to_thread(self.estimated, run.metadata.name)

    def estimated(self, name: str, *, ago: timedelta = timedelta(0)) -> None:
        data = {"rows": 150, "train": 135, "test": 15, "repo": "org/data", "asOf": "2025-12-09T21:00:00Z"}
        ended = ended_status("Succeeded", succeeded=True, message="a training would cost $2 to $3.5", ago=ago)
        self.status("trainingruns", name, {**ended, "estimate": ESTIMATE, "dataset": data})

    def status(self, plural: str, name: str, status: dict[str, Any]) -> None:
        patch = ("--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
        self._run("patch", f"{plural}.{GROUP}", name, *patch)

    def change(self, plural: str, name: str, spec: dict[str, Any]) -> None:
        self._run("patch", f"{plural}.{GROUP}", name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def specs(self, plural: str) -> dict[str, Any]:
        """The specs of the objects, by name; without the estimates."""
        items = json.loads(self._run("get", f"{plural}.{GROUP}", "-o", "json"))["items"]
        return {one["metadata"]["name"]: one["spec"] for one in items if not one["spec"].get("estimateOnly")}

    def _run(self, *arguments: str) -> str:
        return self.kubectl(*arguments, namespace=self.namespace, check=True).stdout


def ended_status(
    phase: str, *, succeeded: bool, message: str, ago: timedelta = timedelta(0)
) -> dict[str, Any]:
    moment = f"{datetime.now(UTC) - ago:%Y-%m-%dT%H:%M:%SZ}"
    said = {"reason": phase, "message": message, "lastTransitionTime": moment}
    conditions = [
        {"type": "Finished", "status": "True", **said},
        {"type": "Succeeded", "status": str(succeeded), **said},
    ]
    return {"phase": phase, "reason": phase, "finishedAt": moment, "conditions": conditions}


def result_of(answer: CallToolResult) -> dict[str, Any]:
    """The structured result."""
    assert not answer.is_error, answer.content
    assert answer.structured_content is not None
    return answer.structured_content


def error_of(answer: CallToolResult) -> str:
    """The text of an error."""
    assert answer.is_error, answer.structured_content
    (content,) = answer.content
    assert isinstance(content, TextContent)
    return content.text


def _record() -> dict[str, Any]:
    stable = Target(
        version="v1.0.0",
        model="anthropic/claude-3.5-haiku",
        endpoint="openrouter",
        endpoint_url="https://openrouter.ai/api/v1",
        api_key_env="OPENROUTER_API_KEY",
    )
    record = initial_record(
        agent="docs", config_map="agents", config_key="agents.yaml", stable=stable, now="2025-12-09T22:00:00Z"
    )
    history = tuple(_version(f"v1.1.0-rc.{number}", number) for number in (1, 2))
    labels = {RECORD_LABEL: "docs", MANAGED_LABEL: "true"}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": record_name("docs"), "labels": labels},
        "data": record.with_(history=history).to_data(),
    }


def _binding(user: str, role: str) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": f"{user}-{role}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }


def _version(version: str, number: int) -> RegistryEntry:
    return RegistryEntry(
        version=version,
        model=f"org/docs-{number}",
        base_model="Qwen/Qwen2.5-Coder-7B",
        training_method="sft",
        training_dataset="ls://docs-train",
        eval_scores={"accuracy": 0.8},
        trained_at="2025-12-09T22:00:00Z",
        hub_repo=f"org/docs-{number}",
        deployment_status="evaluated",
        lineage={"revision": "c" * 40},
    )
