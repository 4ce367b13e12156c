"""The router on a real API server: a change there reaches pick, also after a lost connection."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.conftest import Kubectl
from tests.patience import deadline_after, patient

from modelops.domain.agentsfile import CanaryTarget, RolloutMark, RoutingBlock, with_routing
from modelops.localcluster import LocalCluster
from modelops.router import Router, WatchConfig

NAME = "agents"
BASE = "# ours\nagents:\n  docs:\n    model: org/base\n    endpoint: huggingface\n"
KEYS = [f"session-{n}" for n in range(200)]


def eventually(condition: Callable[[], Any], *, within: float = 20.0) -> Any:
    """The first true result of `condition`; fails after `within` seconds."""
    deadline = deadline_after(within)
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not true within {patient(within):.0f} s"
        threading.Event().wait(0.005)
    return found


def routed(weight: int, generation: int) -> str:
    """An agents.yaml in which the agent `docs` has a canary with this weight."""
    canary = CanaryTarget(weight, "org/tuned", endpoint_url="http://127.0.0.1:1/v1")
    mark = RolloutMark("uid-1", 1, "Progressing")
    return with_routing(BASE, "docs", RoutingBlock(generation, "uid-1", mark, "2099-01-01T00:00:00Z", canary))


class ConfigMap:
    """The ConfigMap, written over one open connection, so that the start of kubectl is not measured."""

    def __init__(self, cluster: LocalCluster, namespace: str) -> None:
        address = urlsplit(cluster.url)
        context = ssl.create_default_context(cafile=str(cluster.ca_file))
        self._connection = HTTPSConnection(address.hostname or "", address.port, context=context, timeout=10)
        self._path = f"/api/v1/namespaces/{namespace}/configmaps"
        self._authorization = f"Bearer {cluster.token}"

    def _send(self, method: str, path: str, body: dict[str, Any] | None, media_type: str) -> None:
        headers = {"Authorization": self._authorization, "Content-Type": media_type}
        self._connection.request(method, path, json.dumps(body) if body else None, headers)
        response = self._connection.getresponse()
        content = response.read()
        assert response.status < 300, content

    def create(self, text: str) -> None:
        body = {"metadata": {"name": NAME}, "data": {"agents.yaml": text}}
        self._send("POST", self._path, body, "application/json")

    def write(self, text: str) -> None:
        body = {"data": {"agents.yaml": text}}
        self._send("PATCH", f"{self._path}/{NAME}", body, "application/merge-patch+json")

    def delete(self) -> None:
        self._send("DELETE", f"{self._path}/{NAME}", None, "application/json")


class Cuttable:
    """A TCP proxy before the API server: `cut` drops its connections, `refuse` accepts no new ones."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.refuse = False
        self.accepted = 0
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.refuse:
                    client.close()
                    continue
                self.accepted += 1
                server = socket.create_connection(self._target)
                self._open += [client, server]
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Drops all current connections; a connection that is opened meanwhile stays."""
        now, self._open = self._open, []
        for end in now:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        """Ends the proxy."""
        self._listener.close()
        self.cut()


@pytest.fixture
def configmap(cluster: LocalCluster, namespace: str) -> ConfigMap:
    if not cluster.token:
        pytest.skip("needs the cluster's CA and token: MODELOPS_KUBECONFIG names another cluster")
    found = ConfigMap(cluster, namespace)
    found.create(BASE)
    return found


@pytest.fixture
def proxy(cluster: LocalCluster) -> Iterator[Cuttable]:
    address = urlsplit(cluster.url)
    found = Cuttable((address.hostname or "", address.port or 443))
    yield found
    found.close()


@contextmanager
def watching(
    cluster: LocalCluster, namespace: str, *, url: str | None = None, **other: Any
) -> Iterator[Router]:
    watch = WatchConfig(
        url or cluster.url,
        namespace,
        NAME,
        ca_file=str(cluster.ca_file),
        token=other.pop("token", cluster.token),
    )
    with Router("docs", watch=watch, **other) as router:
        assert router.wait_ready(10), router.state()
        yield router


def canaries(router: Router) -> set[str]:
    return {key for key in KEYS if router.pick(key).track == "canary"}


def test_a_change_reaches_pick_in_less_than_a_second(
    cluster: LocalCluster, namespace: str, configmap: ConfigMap
) -> None:
    with watching(cluster, namespace) as router:
        seen: set[str] = set()
        for generation, weight in enumerate((20, 50, 100), start=1):
            begun = time.monotonic()
            configmap.write(routed(weight, generation))
            eventually(lambda generation=generation: router.pick("any").generation == generation)
            assert time.monotonic() - begun < 1.0
            assert seen < canaries(router)
            seen = canaries(router)


def test_removed_routing_sends_all_sessions_to_stable(
    cluster: LocalCluster, namespace: str, configmap: ConfigMap, kubectl: Kubectl
) -> None:
    configmap.write(routed(100, 5))
    with watching(cluster, namespace) as router:
        assert canaries(router) == set(KEYS)
        patch = json.dumps({"data": {"agents.yaml": BASE}})
        kubectl("patch", "configmap", NAME, "--type=merge", "-p", patch, namespace=namespace, check=True)
        eventually(lambda: not canaries(router), within=1.0)


def test_a_lower_generation_decides_while_the_watch_is_live(
    cluster: LocalCluster, namespace: str, configmap: ConfigMap
) -> None:
    configmap.write(routed(100, 9))
    with watching(cluster, namespace) as router:
        configmap.write(routed(0, 3))
        eventually(lambda: router.state().generation == 3)
        assert canaries(router) == set()


def test_a_deleted_configmap_drops_the_canary_and_keeps_the_stable_target(
    cluster: LocalCluster, namespace: str, configmap: ConfigMap
) -> None:
    configmap.write(routed(100, 5))
    with watching(cluster, namespace) as router:
        configmap.delete()
        eventually(lambda: not canaries(router))
        assert router.pick("any").model == "org/base"
        configmap.create(routed(100, 6))
        eventually(lambda: canaries(router) == set(KEYS))


def test_the_watch_survives_a_lost_connection(
    cluster: LocalCluster, namespace: str, configmap: ConfigMap, proxy: Cuttable
) -> None:
    with watching(cluster, namespace, url=f"https://127.0.0.1:{proxy.port}") as router:
        configmap.write(routed(20, 1))
        eventually(lambda: router.state().generation == 1)
        proxy.cut()
        begun = time.monotonic()
        configmap.write(routed(50, 2))
        eventually(lambda: router.state().generation == 2)
        assert time.monotonic() - begun < 1.0
        assert router.state().watch_losses == 0


def test_without_the_api_the_last_known_table_stays_until_the_file_is_newer(
    cluster: LocalCluster, namespace: str, configmap: ConfigMap, proxy: Cuttable, tmp_path: Any
) -> None:
    configmap.write(routed(50, 5))
    file = tmp_path / "agents.yaml"
    file.write_text(routed(100, 4))
    with watching(cluster, namespace, url=f"https://127.0.0.1:{proxy.port}", file=file) as router:
        eventually(lambda: router.state().watch_live)
        half = canaries(router)
        assert half != set(KEYS)
        proxy.refuse = True
        proxy.cut()
        eventually(lambda: not router.state().watch_live)
        assert canaries(router) == half
        file.write_text(BASE)
        eventually(lambda: not canaries(router))
        proxy.refuse = False
        eventually(lambda: router.state().watch_live)
        assert canaries(router) == half


def test_a_process_that_may_not_watch_uses_its_file(
    cluster: LocalCluster, namespace: str, configmap: ConfigMap, tmp_path: Any
) -> None:
    file = tmp_path / "agents.yaml"
    file.write_text(routed(100, 1))
    with watching(cluster, namespace, file=file, token="not-a-token") as router:
        eventually(lambda: "401" in (router.state().last_error or ""))
        assert canaries(router) == set(KEYS)
        assert "not-a-token" not in repr(router.state())
