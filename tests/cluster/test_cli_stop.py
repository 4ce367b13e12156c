"""`modelops stop`: what it writes, what it says, and that a second call changes nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from tests.patience import patient

from modelops.client import Access, AsyncClient
from modelops.domain.stop import StopScope
from modelops.localcluster import LocalCluster
from modelops.tools.errors import ToolRefused
from modelops.tools.stopping import set_stop

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def agent(kubectl: Kubectl, namespace: str) -> str:
    kubectl("apply", "-f", "config/samples/agentmodel-docs.yaml", namespace=namespace, check=True)
    return namespace


def client_of(cluster: LocalCluster, namespace: str) -> AsyncClient:
    return AsyncClient(Access(kubeconfig=str(cluster.kubeconfig), namespace=namespace))


def says_it_is_stopped(kubectl: Kubectl, namespace: str, status: str) -> None:
    """As the operator would."""
    condition = (
        f'{{"type":"Stopped","status":"{status}","reason":"EmergencyStop","message":"",'
        '"lastTransitionTime":"2025-12-10T09:00:00Z"}'
    )
    patch = f'{{"status":{{"conditions":[{condition}]}}}}'
    kubectl(
        "patch", "agentmodel", "docs", "--type=merge", "--subresource=status", "-p", patch,
        namespace=namespace, check=True,
    )  # fmt: skip


async def test_an_agent_is_stopped_and_lifted_by_its_spec(
    cluster: LocalCluster, kubectl: Kubectl, agent: str
) -> None:
    async with client_of(cluster, agent) as client:
        with pytest.raises(ToolRefused, match="--reason"):
            await set_stop(client, scope=StopScope.AGENT, agent="docs")
        done = await set_stop(client, scope=StopScope.AGENT, agent="docs", reason="INC-7", seconds=0)
        assert done.done
        assert "does the operator run (`modelops doctor`)?" in done.message
        stop = (await client.agent_models.get("docs")).spec.stop
        assert stop is not None
        assert (stop.reason, bool(stop.by)) == ("INC-7", True)
        again = await set_stop(client, scope=StopScope.AGENT, agent="docs", reason="INC-7")
        assert not again.done
        says_it_is_stopped(kubectl, agent, "False")
        lifted = await set_stop(client, scope=StopScope.AGENT, agent="docs", lift=True)
        assert lifted.message.endswith("The operator has seen it: 1 of 1 AgentModels say so")
        assert (await client.agent_models.get("docs")).spec.stop is None


async def test_a_namespace_and_all_agents_are_stopped_by_config_maps(
    cluster: LocalCluster, kubectl: Kubectl, agent: str
) -> None:
    says_it_is_stopped(kubectl, agent, "True")
    async with client_of(cluster, agent) as client:
        done = await set_stop(client, scope=StopScope.NAMESPACE, reason="INC-7")
        assert done.message.endswith("The operator has seen it: 1 of 1 AgentModels say so")
        found = await client.config_map("modelops-stop")
        assert found is not None
        assert (found["data"]["reason"], bool(found["data"]["by"])) == ("INC-7", True)
        assert not (await set_stop(client, scope=StopScope.NAMESPACE, reason="INC-8")).done
        everyone = {"scope": StopScope.ALL, "operator_namespace": agent}
        assert (await set_stop(client, reason="INC-7", **everyone)).done  # type: ignore[arg-type]
        assert (await client.config_map("modelops-stop-all")) is not None
        lifted = await set_stop(client, scope=StopScope.NAMESPACE, lift=True, seconds=0)
        assert "1 of 1 AgentModels are still stopped" in lifted.message
        assert (await set_stop(client, lift=True, seconds=0, **everyone)).done  # type: ignore[arg-type]
        assert not (await set_stop(client, lift=True, **everyone)).done  # type: ignore[arg-type]
        with pytest.raises(ToolRefused, match="--operator-namespace"):
            await set_stop(client, scope=StopScope.ALL, reason="INC-7", operator_namespace="nowhere")


def test_the_command(cluster: LocalCluster, kubectl: Kubectl, agent: str) -> None:
    says_it_is_stopped(kubectl, agent, "True")

    def stop(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "modelops.cli", "stop", "-n", agent, *arguments]
        command += ["--kubeconfig", str(cluster.kubeconfig)]
        return subprocess.run(command, capture_output=True, text=True, timeout=patient(60))

    done = stop("--reason", "INC-7")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"all agents of namespace {agent}: nothing new is started" in done.stdout
    refused = stop("--agent", "docs")
    assert refused.returncode == 1
    assert "--reason" in refused.stderr
