"""The chart's `proxy`, `privateCA` and addresses of a private Hub, with real TLS servers and a real proxy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.contract.charts import merged, render
from tests.private_network import INSIDE, OUTSIDE, PrivateNetwork, TlsServer, private_network

from modelops.localcluster.helm import HELM_4
from modelops.sandbox.client import SandboxInfo

API_SERVER = "10.96.0.1"
SERVICES = ("hub", "endpoints", "langsmith", "openrouter")
Calls = Callable[..., dict[str, str]]


@pytest.fixture(scope="module")
def network(
    sandbox_process: SandboxInfo, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[PrivateNetwork, dict[str, TlsServer]]]:
    """The network, and the TLS server of each service."""
    with private_network(tmp_path_factory.mktemp("network")) as (made, in_front_of):
        yield made, {name: in_front_of(getattr(sandbox_process, name)) for name in SERVICES}


def chart_environment(
    folder: Path, network: PrivateNetwork, urls: Mapping[str, str], values: Mapping[str, Any]
) -> dict[str, str]:
    """The variables of the operator's container, as the kubelet gives them to the process.

    The bundle is where the test has it, since nothing mounts it here.
    """
    services = {
        "hub": {"endpoint": urls["hub"], "endpointsURL": urls["endpoints"]},
        "langsmith": {"endpoint": urls["langsmith"]},
        "openrouter": {"baseURL": urls["openrouter"]},
    }
    objects = render(HELM_4, folder, merged(services, values))
    mounts = {mount["name"]: mount["mountPath"] for mount in objects.container["volumeMounts"]}
    bundle = str(network.ca_file.parent)
    return {
        name: value.replace("$(KUBERNETES_SERVICE_HOST)", API_SERVER).replace(
            mounts.get("ca", "no CA"), bundle
        )
        for name, value in objects.environment.items()
    }


@pytest.fixture
def calls(
    network: tuple[PrivateNetwork, dict[str, TlsServer]], sandbox: SandboxInfo, tmp_path: Path
) -> Calls:
    """Calls every service from a process with the chart's environment; what came of each.

    `hosts`: of the services, by default OUTSIDE, where only the proxy leads.
    """

    def run(values: Mapping[str, Any], hosts: Mapping[str, str] | None = None) -> dict[str, str]:
        urls = {name: server.url((hosts or {}).get(name, OUTSIDE)) for name, server in network[1].items()}
        network[0].asked.clear()
        keys = {
            "HF_TOKEN": sandbox.hf_token,
            "LANGSMITH_API_KEY": sandbox.langsmith_key,
            "OPENROUTER_API_KEY": sandbox.openrouter_key,
        }
        environment = chart_environment(tmp_path, network[0], urls, values)
        done = subprocess.run(
            [sys.executable, "-m", "tests.contract.service_calls"],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join(sys.path),
                **environment,
                **keys,
                "HOME": str(tmp_path),
                "HF_HOME": str(tmp_path),
                "MODELOPS_SANDBOX": "1",
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        answers: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
        return answers

    return run


def proxy_of(network: tuple[PrivateNetwork, Any]) -> dict[str, str]:
    return {"http": network[0].proxy, "https": network[0].proxy}


CA = {"configMap": "company-ca"}


def test_every_client_uses_the_proxy_and_trusts_the_private_authority(calls: Calls, network: Any) -> None:
    answers = calls({"proxy": proxy_of(network), "privateCA": CA})
    assert answers == dict.fromkeys(SERVICES, "ok")
    assert network[0].ports_asked() == {server.port for server in network[1].values()}


def test_a_private_hub_in_no_proxy_is_called_directly_and_the_other_services_by_the_proxy(
    calls: Calls, network: Any
) -> None:
    """INSIDE is in NO_PROXY without being named, as the hosts of the cluster are."""
    answers = calls({"proxy": proxy_of(network), "privateCA": CA}, {"hub": INSIDE, "endpoints": INSIDE})
    assert answers == dict.fromkeys(SERVICES, "ok")
    assert network[0].ports_asked() == {network[1][name].port for name in ("langsmith", "openrouter")}
    assert not [target for target in network[0].asked if target.startswith(INSIDE)]


def test_a_host_of_the_values_no_proxy_is_not_asked_of_the_proxy(calls: Calls, network: Any) -> None:
    calls({"proxy": {**proxy_of(network), "noProxy": [OUTSIDE]}, "privateCA": CA})
    assert network[0].asked == []


def test_without_the_authority_each_client_says_that_the_certificate_is_not_trusted(
    calls: Calls, network: Any
) -> None:
    answers = calls({"proxy": proxy_of(network)})
    for name in SERVICES:
        assert "its certificate is not trusted: " in answers[name], answers[name]
        assert "SSL_CERT_FILE and REQUESTS_CA_BUNDLE (privateCA in the chart's values)" in answers[name]


def test_without_the_proxy_each_client_says_that_it_reached_nothing(calls: Calls) -> None:
    answers = calls({"privateCA": CA})
    assert "could not be reached while calling hub" in answers["hub"]
    assert "check the address, the proxy and the network policy" in answers["endpoints"]
    assert "did not answer while listing datasets" in answers["langsmith"]
    assert "check the endpoint, the proxy and the network policy" in answers["langsmith"]
    assert answers["openrouter"].startswith("no connection: ")


@pytest.mark.parametrize(
    "host", [API_SERVER, "modelops-reports.modelops-system.svc", "x.y.svc.cluster.local"]
)
@pytest.mark.parametrize("client", ["httpx2", "requests", "urllib"])
def test_the_cluster_is_called_without_the_proxy(
    host: str, client: str, network: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By each client that reads the variables; the operator's own connections to the cluster do not read them."""
    urls = {name: server.url(OUTSIDE) for name, server in network[1].items()}
    environment = chart_environment(tmp_path, network[0], urls, {"proxy": proxy_of(network)})
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name.lower(), raising=False)
        monkeypatch.setenv(name, environment[name])
    assert not uses_proxy(client, f"https://{host}/healthz")
    assert uses_proxy(client, "https://huggingface.co/api")


def uses_proxy(client: str, url: str) -> bool:
    if client == "httpx2":
        import httpx2

        with httpx2.Client() as made:
            transport = made._transport_for_url(httpx2.URL(url))
            return transport is not made._transport
    if client == "requests":
        from requests.utils import get_environ_proxies

        return bool(get_environ_proxies(url))
    from urllib.parse import urlsplit
    from urllib.request import getproxies, proxy_bypass

    return "https" in getproxies() and not proxy_bypass(urlsplit(url).hostname or "")


def test_the_pods_of_programs_have_the_same_network(tmp_path: Path, network: Any) -> None:
    values = {"proxy": proxy_of(network), "privateCA": CA, "programs": {"run": "job"}}
    environment = render(HELM_4, tmp_path, values).environment
    pods = json.loads(environment["MODELOPS_PROGRAM_JOBS"].replace("$$", "$"))
    theirs = {entry["name"]: entry.get("value") for entry in pods["env"]}
    names = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
    assert {name: theirs[name] for name in names} == {name: environment[name] for name in names}
