"""Behind a proxy, with a private certificate authority: a model is trained, evaluated and promoted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.contract.test_private_network import CA, SERVICES, chart_environment
from tests.e2e import manifests
from tests.e2e.api import status, status_summary
from tests.e2e.canary import SHORT_EVALUATION
from tests.e2e.cloud import Cloud
from tests.e2e.environment import Environment, open_environment
from tests.private_network import OUTSIDE, PrivateNetwork, TlsServer, private_network

from modelops.localcluster import LocalCluster
from modelops.sandbox.hub.seeds import BASE_MODEL

NETWORK = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "HF_ENDPOINT",
    "MODELOPS_ENDPOINTS_URL",
    "LANGSMITH_ENDPOINT",
    "OPENROUTER_BASE_URL",
)
"""The variables of the chart that say how the services are reached; the others are those of every end-to-end test."""


@pytest.fixture
async def behind_a_proxy(
    cluster: LocalCluster, cloud: Cloud, namespace: str, tmp_path: Path
) -> AsyncIterator[tuple[Environment, PrivateNetwork, dict[str, TlsServer]]]:
    """An environment whose operator has the chart's variables; each service is where only the proxy leads."""
    cloud.sandbox.clear()
    with private_network(tmp_path / "network") as (network, in_front_of):
        servers = {name: in_front_of(getattr(cloud.sandbox, name)) for name in SERVICES}
        urls = {name: server.url(OUTSIDE) for name, server in servers.items()}
        proxy = {"http": network.proxy, "https": network.proxy}
        chart = chart_environment(tmp_path, network, urls, {"proxy": proxy, "privateCA": CA})
        variables = {name: chart[name] for name in NETWORK}
        async with open_environment(cluster, cloud, namespace, tmp_path, **variables) as made:
            for name in ("http_proxy", "https_proxy", "no_proxy"):
                made.variables.pop(name, None)
            yield made, network, servers
    cloud.sandbox.clear()


async def test_a_model_is_trained_evaluated_and_promoted_behind_a_proxy(
    behind_a_proxy: tuple[Environment, PrivateNetwork, dict[str, TlsServer]],
) -> None:
    env, network, servers = behind_a_proxy
    openrouter = servers["openrouter"].url(OUTSIDE)
    await env.write_agents_file(manifests.agents_file(openrouter))
    # The agents have no proxy, so their calls of the baseline fail; those of the candidate's endpoint do not.
    agents = await asyncio.to_thread(env.start_agents)
    await env.create_agent_model(openrouter=openrouter)
    await env.start_operator(LANGSMITH_API_KEY=env.cloud.sandbox.langsmith_key)
    await env.wait_until_leading()
    await env.api.create(manifests.training_run("first", base_model=BASE_MODEL))
    await env.api.create(
        manifests.rollout("first", {"trainingRunRef": {"name": "first"}}, evaluation=SHORT_EVALUATION)
    )
    run = await env.api.wait_until_finished("TrainingRun", "first")
    assert status(run)["reason"] == "Trained", status_summary(run)
    rollout = await env.api.wait_until_finished("Rollout", "first")
    assert status(rollout)["reason"] == "Promoted", status_summary(rollout)
    assert status(run)["model"]["repo"] in agents.models()

    assert network.ports_asked() == {server.port for server in servers.values()}
    cluster = {urlsplit(env.cluster.url).port, env.report_port}
    assert not [target for target in network.asked if int(target.rpartition(":")[2]) in cluster]
