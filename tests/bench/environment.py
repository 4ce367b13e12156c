"""A row's environment: the API server that all rows share, and a namespace, a sandbox and a folder of the row."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelops.adapters.kube import Connection, KubeClient, Transport
from modelops.api.v1alpha1.names import MANAGED_LABEL
from modelops.engine.executor import CONFIG_MAPS
from modelops.engine.resources import AGENT_MODELS, SECRETS
from modelops.localcluster import LocalCluster
from modelops.localcluster.crds import wait_until_established
from modelops.ports import Json, Resource
from modelops.sandbox import client as sandbox_client
from modelops.sandbox.client import SandboxInfo

CRDS = Path(__file__).parents[2] / "crds"
ORG = "appsmithery"
BASE_MODEL = "modelops-sandbox/docs-base"
BASELINE = "modelops-sandbox/name-as-sentence"
REPORT_TOKEN = "a-shared-secret-of-the-bench"
_NAMESPACES = Resource(group="", version="v1", plural="namespaces", kind="Namespace")


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The shared cluster, and the namespace, the sandbox and the folder of one row."""

    cluster: LocalCluster
    connection: Connection
    kube: KubeClient
    sandbox: SandboxInfo
    namespace: str
    folder: Path

    async def create(self, resource: Resource, name: str, **body: Any) -> Json:
        """Creates an object in the row's namespace."""
        api = f"{resource.group}/{resource.version}" if resource.group else resource.version
        metadata = {"name": name, "namespace": self.namespace, **body.pop("metadata", {})}
        return await self.kube.create(
            resource, {"apiVersion": api, "kind": resource.kind, "metadata": metadata, **body}
        )

    async def items(self, resource: Resource) -> list[Json]:
        """All objects of a kind in the row's namespace."""
        found, _ = await self.kube.list(resource, namespace=self.namespace)
        return found

    async def edit(self, resource: Resource, name: str, **spec: Any) -> None:
        """Changes fields of a spec."""
        item = await self.kube.get(resource, self.namespace, name)
        assert item is not None
        version = {"resourceVersion": item["metadata"]["resourceVersion"]}
        await self.kube.patch(resource, self.namespace, name, {"metadata": version, "spec": spec})

    async def add_agent(self, name: str, **spec: Any) -> None:
        """Creates an AgentModel and its ConfigMap `<name>-agents`; the Secret `tokens` must exist."""
        labels = {"labels": {MANAGED_LABEL: "true"}}
        file = agents_yaml(name, url=self.sandbox.openrouter)
        await self.create(CONFIG_MAPS, f"{name}-agents", metadata=labels, data={"agents.yaml": file})
        given = agent_spec(name, url=self.sandbox.openrouter)
        await self.create(AGENT_MODELS, name, spec={**given, **spec})

    async def add_tokens(self) -> None:
        """Creates the Secret `tokens`, which all AgentModels of a row use."""
        keys = {
            "hf": self.sandbox.hf_token,
            "ls": self.sandbox.langsmith_key,
            "or": self.sandbox.openrouter_key,
        }
        await self.create(SECRETS, "tokens", metadata={"labels": {MANAGED_LABEL: "true"}}, stringData=keys)


def agents_yaml(agent: str, *, url: str) -> str:
    """The text of agents.yaml with the agent on its baseline."""
    return (
        f"agents:\n  {agent}:\n    model: {BASELINE}\n    endpoint: openrouter\n    version: v1.0.0\n"
        f"    endpoint_url: {url}\n    api_key_env: OPENROUTER_API_KEY\n"
    )


def agent_spec(agent: str, *, url: str) -> Json:
    """An AgentModel's spec."""
    refs = {"huggingFace": "hf", "langsmith": "ls", "openRouter": "or"}
    return {
        "agent": agent,
        "baseline": {
            "model": BASELINE,
            "endpoint": "openrouter",
            "endpointUrl": url,
            "apiKeyEnv": "OPENROUTER_API_KEY",
        },
        "config": {"configMapRef": {"name": f"{agent}-agents"}},
        "prompt": {
            "system": "You write the first paragraph of a Python docstring.",
            "user": "{{ inputs.task }}",
            "assistant": "{{ outputs.docstring }}",
            "maxTokens": 256,
        },
        "langsmith": {"trainingDataset": "ls://docs-train", "evaluationDataset": "ls://docs-holdout"},
        "budget": {"monthlyUSD": "10000"},
        "serving": {
            "vendor": "aws",
            "region": "us-east-1",
            "instanceType": "intel-spr",
            "instanceSize": "x1",
            "accelerator": "cpu",
        },
        "secretRefs": {kind: {"name": "tokens", "key": key} for kind, key in refs.items()},
    }


def training_run_spec(agent: str, *, base_model: str = BASE_MODEL) -> Json:
    """A TrainingRun's spec."""
    return {
        "agentModelRef": {"name": agent},
        "baseModel": base_model,
        "backend": {"huggingFace": {"flavor": "cpu-upgrade"}},
        "maxUSD": "4",
    }


async def wait_until(question: Callable[[], Awaitable[Any]], *, expected: str, seconds: float = 60.0) -> Any:
    """Waits for the first true answer, and returns it. Raises TimeoutError with `expected` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := await question()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{expected}: not within {seconds:.0f} s")
        await asyncio.sleep(0.05)
    return answer


def apply_crds(cluster: LocalCluster) -> None:
    """Applies the CRDs and waits until the API server serves them."""
    kubectl = [str(cluster.kubectl), "--kubeconfig", str(cluster.kubeconfig)]
    apply = [*kubectl, "apply", "--server-side", "-f", str(CRDS)]
    subprocess.run(apply, check=True, stdout=subprocess.DEVNULL)
    wait_until_established(kubectl, "-f", CRDS)


@asynccontextmanager
async def environment_for(
    name: str, cluster: LocalCluster, folder: Path, *, sandbox_module: str = "modelops.sandbox"
) -> AsyncIterator[Environment]:
    """Creates the environment of one row; the sandbox ends with the block."""
    row_folder = folder / name
    row_folder.mkdir(parents=True)
    connection = Connection.from_kubeconfig(cluster.kubeconfig)
    with sandbox_client.start(row_folder / "sandbox", module=sandbox_module) as sandbox:
        async with KubeClient(Transport(connection)) as kube:
            namespace = f"bench-{name}"
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
            await kube.create(_NAMESPACES, body)
            env = Environment(
                cluster=cluster,
                connection=connection,
                kube=kube,
                sandbox=sandbox,
                namespace=namespace,
                folder=row_folder,
            )
            await env.add_tokens()
            yield env
