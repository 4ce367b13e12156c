"""The operator's three servers are reached by IPv4 and by IPv6, as in a cluster of either family."""

import socket
from collections.abc import Callable

import aiohttp
import pytest

from modelops.adapters.reports import ReportForwarder, ReportServer, ReportStore, shared_secret
from modelops.engine.clock import SystemClock
from modelops.listening import base_url, reachable_host
from modelops.runtime.health import Health, ManagementServer
from modelops.runtime.metrics import Metrics
from modelops.runtime.process import reachable_url
from modelops.runtime.settings import Settings

SECRET = "a-shared-secret-of-the-test"
LOOPBACKS = ["127.0.0.1", "::1"]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> str:
    """What the operator listens on in a cluster, where nothing is set."""
    for name in ("MODELOPS_BIND_ADDRESS", "MODELOPS_SANDBOX"):
        monkeypatch.delenv(name, raising=False)
    return Settings().host


def report_server(host: str) -> ReportServer:
    store = ReportStore(clock=SystemClock(), on_change=lambda *_: None)
    return ReportServer(store, shared_secret(SECRET), host=host)


@pytest.mark.parametrize("address", LOOPBACKS)
async def test_the_probes_and_metrics_are_served_by_both_families(host: str, address: str) -> None:
    server = ManagementServer(Health(), Metrics(), host=host, port=0)
    own = await server.start()
    try:
        url = base_url(address, int(own.rpartition(":")[2]))
        async with aiohttp.ClientSession() as session:
            for base in (own, url):
                async with session.get(f"{base}/healthz") as answer:
                    assert answer.status == 200
    finally:
        await server.close()


@pytest.mark.parametrize("address", LOOPBACKS)
async def test_a_standby_sends_reports_on_by_both_families(
    host: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    leader = report_server(host)
    await leader.start()
    monkeypatch.setattr(socket, "gethostname", lambda: address)  # Of a Pod whose /etc/hosts has this address.
    url = reachable_url(leader.url)
    standby = ReportForwarder(lambda: url, host=host, port=0)
    await standby.start()
    try:
        assert url.startswith(base_url(address, 0).removesuffix("0"))
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{base_url(address, standby.port)}/v1/report", json={}) as answer,
        ):
            assert answer.status == 401, await answer.text()  # From the leader: a standby checks no token.
    finally:
        await standby.close()
        await leader.close()


@pytest.mark.parametrize("bound", ["127.0.0.1", "::1", "192.0.2.7"])
def test_a_named_address_stays_as_it_is(bound: str) -> None:
    url = f"{base_url(bound, 8081)}/v1/report"
    assert reachable_url(url) == url


@pytest.mark.parametrize(
    ("bound", "gethostname"),
    [("0.0.0.0", lambda: "no-such-host.invalid"), ("::", lambda: "no-such-host.invalid")],
)
def test_a_machine_whose_name_has_no_address_is_said_as_it_is(
    bound: str, gethostname: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", gethostname)
    assert reachable_host(bound) == bound
