"""The operator as a process: its start, standby, takeover and stop, and the objects that it writes."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from tests.cluster.losing_proxy import LosingProxy, losing_proxy
from tests.cluster.operator_process import Operator, kubeconfig_through, operator
from tests.conftest import Kubectl

from modelops.adapters.kube import Connection, KubeClient, Transport
from modelops.engine.lease import LEASES
from modelops.free_port import free_port
from modelops.localcluster import LocalCluster


@pytest.fixture
def connection(cluster: LocalCluster) -> Connection:
    return Connection.from_kubeconfig(cluster.kubeconfig)


@pytest.fixture
async def proxy(connection: Connection) -> AsyncIterator[LosingProxy]:
    async with losing_proxy(connection) as running:
        yield running


@pytest.fixture
def kubeconfig(connection: Connection, proxy: LosingProxy, namespace: str, tmp_path: Path) -> Path:
    return kubeconfig_through(connection, proxy.url, tmp_path / "kubeconfig", namespace=namespace)


def kinds_written(proxy: LosingProxy, namespace: str) -> set[str]:
    """The paths of all writes, relative to the namespace if they are in it, and without their query."""
    paths = (line.split()[1].split("?")[0] for line in proxy.writes())
    return {path.removeprefix("/apis").partition(f"/namespaces/{namespace}")[2] or path for path in paths}


LEASE_ONLY = {"/leases", "/leases/modelops-operator"}


async def test_a_first_start_writes_the_lease_and_the_id_and_a_restart_only_the_lease(
    kubeconfig: Path, proxy: LosingProxy, namespace: str, tmp_path: Path
) -> None:
    async with operator(kubeconfig, tmp_path / "state") as first:
        await first.wait_until_ready()
        first.process.send_signal(signal.SIGTERM)
        assert await first.wait_for_exit(seconds=10) == 0
        assert not (tmp_path / "state" / "operator.json").exists()
    assert kinds_written(proxy, namespace) == LEASE_ONLY | {"/configmaps"}
    assert Counter(line.split()[0] for line in proxy.writes() if "configmaps" in line) == {"POST": 1}
    proxy.request_lines.clear()
    async with operator(kubeconfig, tmp_path / "state") as second:
        await second.wait_until_ready()
        second.process.send_signal(signal.SIGTERM)
        assert await second.wait_for_exit(seconds=10) == 0
    assert kinds_written(proxy, namespace) <= LEASE_ONLY


async def reports_are_received(standby: Operator) -> bool:
    """Whether a report to the standby is checked by the leader: it refuses a token that is not the shared secret."""
    line = await standby.wait_until(
        lambda: next((line for line in standby.lines if "sends reports on from port" in line["msg"]), None)
    )
    url = f"http://127.0.0.1:{line['msg'].rpartition(' ')[2]}/v1/report"
    async with aiohttp.ClientSession() as session:
        for _ in range(100):
            async with session.post(url, headers={"Authorization": "Bearer wrong"}) as answer:
                if answer.status == 401:
                    return True
            await asyncio.sleep(0.1)
    return False


async def test_a_killed_operator_is_replaced_at_once_and_a_live_one_is_waited_for(
    kubeconfig: Path, tmp_path: Path
) -> None:
    async with (
        operator(kubeconfig, tmp_path / "first") as first,
        operator(kubeconfig, tmp_path / "second") as second,
    ):
        await first.wait_until(lambda: first.addresses() or second.addresses())
        leader, other = (first, second) if first.addresses() else (second, first)
        await leader.wait_until_ready()
        await other.wait_until(lambda: other.has_logged("waiting for the lease"))
        assert not other.addresses()
        assert await reports_are_received(other)
        leader.process.kill()
        await leader.wait_for_exit()
        # 8 s is less than the lease's 15 s.
        await other.wait_until(lambda: other.has_logged("leading as"), seconds=8)
        await other.wait_until_ready()


async def test_only_the_leader_serves_the_metrics_of_objects(
    kubeconfig: Path, kubectl: Kubectl, namespace: str, tmp_path: Path
) -> None:
    samples = Path(__file__).parents[2] / "config" / "samples" / "agentmodel-docs.yaml"
    await asyncio.to_thread(kubectl, "apply", "-f", str(samples), namespace=namespace, check=True)
    ports = free_port(), free_port()
    environs = [{"MODELOPS_METRICS_PORT": str(port)} for port in ports]

    async def served(port: int) -> str:
        url = f"http://127.0.0.1:{port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return await answer.text()

    async with operator(kubeconfig, tmp_path / "first", environ=environs[0]) as leader:
        await leader.wait_until_ready()
        async with operator(kubeconfig, tmp_path / "second", environ=environs[1]) as standby:
            await standby.wait_until(lambda: standby.has_logged("waiting for the lease"))
            budget = f'modelops_agent_budget_usd{{agent_namespace="{namespace}",agent="docs"}}'
            assert budget in await served(ports[0])
            assert "modelops_agent_" not in await served(ports[1])
            assert "modelops_leader 0.0" in await served(ports[1])


async def test_an_operator_that_lost_its_lease_exits(
    kubeconfig: Path, connection: Connection, namespace: str, tmp_path: Path
) -> None:
    async with (
        operator(kubeconfig, tmp_path / "state") as running,
        KubeClient(Transport(connection)) as thief,
    ):
        await running.wait_until_ready()
        stolen = False
        while not stolen:
            lease = await thief.get(LEASES, namespace, "modelops-operator")
            assert lease is not None
            version = lease["metadata"]["resourceVersion"]
            theft = {"metadata": {"resourceVersion": version}, "spec": {"holderIdentity": "thief"}}
            stolen = bool(await thief.patch(LEASES, namespace, "modelops-operator", theft))
        assert await running.wait_for_exit() == 3
        assert running.has_logged("taken over by thief")
        lease = await thief.get(LEASES, namespace, "modelops-operator")
        assert lease is not None
        assert lease["spec"]["holderIdentity"] == "thief"


async def test_probes_metrics_and_logs_report_the_state_of_the_operator(
    kubeconfig: Path, tmp_path: Path, namespace: str
) -> None:
    secret = {"HUGGINGFACE_HUB_TOKEN": "hf_abcdefghijklmnop"}
    async with operator(kubeconfig, tmp_path / "state", environ=secret) as running:
        await running.wait_until_ready()
        assert await running.wait_for_status("/readyz", 200) == {
            "ready": True,
            "phase": "leading",
            "missing": [],
        }
        assert await running.wait_for_status("/healthz", 200) == {"ok": True, "problem": ""}
        _, metrics = await running.get("/metrics")
        assert 'modelops_kubernetes_requests_total{code="201",resource="leases",verb="create"} 1.0' in metrics
        assert "modelops_leader 1.0" in metrics
        assert (
            f'modelops_watch_age_seconds{{watch="configmaps/{namespace}?modelops.code-chef.dev/managed=true"}}'
            in metrics
        )
        assert {"ts", "level", "logger", "msg"} <= running.lines[0].keys()
        shown = {line["variable"]: line for line in running.lines[0]["details"]}
        assert shown["HUGGINGFACE_HUB_TOKEN"] == {
            "variable": "HUGGINGFACE_HUB_TOKEN",
            "value": "set",
            "from": "environment",
        }
        assert shown["MODELOPS_WORKERS"]["from"] == "default"
        assert not running.has_logged("hf_abcdefghijklmnop")
        assert [line for line in running.lines if line["level"] not in ("INFO", "DEBUG")] == []


async def test_an_operator_that_cannot_renew_its_lease_exits_before_others_take_it(
    kubeconfig: Path, proxy: LosingProxy, tmp_path: Path
) -> None:
    async with operator(kubeconfig, tmp_path / "state", environ={"MODELOPS_LEASE_SECONDS": "3"}) as running:
        await running.wait_until_ready()
        proxy.lose_answers = True
        assert await running.wait_for_exit(seconds=20) == 3


async def test_without_the_crds_the_operator_waits_and_says_what_to_apply(tmp_path: Path) -> None:
    from aiohttp import web

    async def nothing(_: web.Request) -> web.Response:
        return web.json_response({"message": "not found"}, status=404)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", nothing)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    nobody = Connection(server=url, source="test", token_value="t")
    kubeconfig = kubeconfig_through(nobody, url, tmp_path / "kubeconfig", namespace="default")
    try:
        async with operator(kubeconfig, tmp_path / "state") as running:
            await running.wait_until(lambda: running.has_logged("kubectl apply -f crds/"))
            running.process.send_signal(signal.SIGTERM)
            assert await running.wait_for_exit() == 0
    finally:
        await runner.cleanup()
