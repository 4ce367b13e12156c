"""`modelops mcp` as a process: over stdio, over HTTP on this machine, and in a cluster, where tokens say who calls."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from tests.cluster.docs_preconditions import Kubectl
from tests.cluster.mcp_process import serving
from tests.cluster.mcp_rights import server_rights
from tests.cluster.mcp_world import EVALUATE, TRAIN, Mode, Person, World, error_of, result_of
from tests.patience import patient

from modelops.localcluster import LocalCluster

MODES: tuple[Mode, ...] = ("auto", "legacy")


@pytest.fixture
def world(cluster: LocalCluster, kubectl: Kubectl, namespace: str) -> World:
    return World(cluster, kubectl, namespace)


async def test_a_client_starts_it_over_stdio_and_a_person_confirms(world: World) -> None:
    kubeconfig = str(world.cluster.kubeconfig_for("alice"))
    command = ["-m", "modelops.cli", "mcp", "-n", world.namespace, "--kubeconfig", kubeconfig]
    person = Person("yes")
    parameters = StdioServerParameters(command=sys.executable, args=command)
    async with Client(stdio_client(parameters), elicitation_callback=person) as client:
        answer = result_of(await client.call_tool("evaluate_model_vs_baseline", EVALUATE))
        assert "has no agent 'x'" in error_of(
            await client.call_tool("list_agent_models", {"agent_name": "x"})
        )
    assert (answer["created"], len(person.questions)) == (True, 1)
    assert list(world.specs("rollouts")) == [answer["evaluation_id"]]


async def test_on_this_machine_it_serves_both_generations_over_http(world: World) -> None:
    async with serving(world, "alice") as address:
        for mode in MODES:
            person = Person("yes")
            async with Client(address, mode=mode, elicitation_callback=person) as client:
                answer = result_of(await client.call_tool("evaluate_model_vs_baseline", EVALUATE))
                assert (answer["created"], len(person.questions)) == (mode == "auto", mode == "auto")
        async with httpx2.AsyncClient() as web:
            foreign = await web.post(address, json={}, headers={"Host": "evil.example"})
            probe = await web.get(address.replace("/mcp", "/healthz"))
    assert (foreign.status_code, probe.status_code, probe.text) == (421, 200, "ok\n")


class Accounts:
    """Service accounts of the namespace, whose tokens are for the MCP server."""

    def __init__(self, world: World, kubectl: Kubectl) -> None:
        self._world, self._kubectl = world, kubectl
        for name in ("carla", "bob"):
            kubectl("create", "serviceaccount", name, namespace=world.namespace, check=True)
        for role in ("modelops-developer", "view"):
            account = f"--serviceaccount={world.namespace}:carla"
            binding = ("rolebinding", f"carla-{role}", f"--clusterrole={role}", account)
            kubectl("create", *binding, namespace=world.namespace, check=True)

    def token(self, name: str, *, audience: str = "modelops-mcp") -> str:
        made = ("create", "token", name, "--audience", audience)
        return self._kubectl(*made, namespace=self._world.namespace, check=True).stdout.strip()

    @asynccontextmanager
    async def client(
        self, address: str, name: str, mode: Mode = "auto", person: Person | None = None
    ) -> AsyncIterator[Client]:
        headers = {"Authorization": f"Bearer {self.token(name)}"}
        async with httpx2.AsyncClient(headers=headers, timeout=patient(30)) as web:
            transport = streamable_http_client(address, http_client=web)
            async with Client(transport, mode=mode, elicitation_callback=person) as client:
                yield client


@pytest.fixture
def server_account(kubectl: Kubectl, tmp_path: Path) -> Iterator[str]:
    """A user with exactly the rights that the chart gives the server."""
    with server_rights(kubectl, tmp_path, user="operator") as user:
        yield user


async def test_in_a_cluster_the_token_says_who_calls_and_rbac_decides(
    world: World, kubectl: Kubectl, server_account: str, tmp_path: Path
) -> None:
    accounts = Accounts(world, kubectl)
    key = tmp_path / "key"
    key.write_text("k" * 64)
    options = ("--auth", "tokenreview", "--key-file", str(key), "--calls-per-minute", "30")
    hosts = ("--allowed-host", "127.0.0.1:*", "--allowed-host", "modelops-mcp.modelops-system.svc:*")
    async with serving(world, server_account, *options, *hosts) as address, world.operator():
        async with httpx2.AsyncClient() as web:
            for token in ("", "Bearer nonsense", f"Bearer {accounts.token('carla', audience='other')}"):
                refused = await web.post(address, json={}, headers={"Authorization": token})
                assert (refused.status_code, "error" in refused.json()) == (401, True), token
            named = {"Host": "modelops-mcp.modelops-system.svc:8765"}
            assert (await web.post(address, json={}, headers=named)).status_code == 401
            headers = {"Authorization": f"Bearer {accounts.token('carla')}", "Host": "evil.example"}
            assert (await web.post(address, json={}, headers=headers)).status_code == 421

        person = Person("yes")
        for mode in MODES:
            async with accounts.client(address, "carla", mode, person) as client:
                started = result_of(await client.call_tool("train_subagent_model", TRAIN))
                assert started["created"] == (mode == "auto")
        ((name, spec),) = world.specs("trainingruns").items()
        assert (started["job_id"], len(person.questions)) == (name, 2)
        user = f"system:serviceaccount:{world.namespace}:carla"
        assert spec["requestedBy"] == user

        async with accounts.client(address, "carla") as client:
            asked = result_of(await client.call_tool("evaluate_model_vs_baseline", EVALUATE))
            quoted = EVALUATE | {"quote_id": asked["quote_id"]}
            async with accounts.client(address, "bob") as other:
                said = error_of(await other.call_tool("evaluate_model_vs_baseline", quoted))
            assert f"system:serviceaccount:{world.namespace}:bob may not create rollouts" in said
            assert f"--serviceaccount={world.namespace}:bob" in said
            assert world.specs("rollouts") == {}
            assert result_of(await client.call_tool("evaluate_model_vs_baseline", quoted))["created"]
            answers = [await client.call_tool("agent_spending", {}) for _ in range(30)]
        assert not answers[0].is_error
        assert "too many calls: 30 a minute are allowed" in error_of(answers[-1])
