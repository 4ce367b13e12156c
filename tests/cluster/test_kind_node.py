"""How tests/node makes a node of kind: the commands, the forwarder, and the way to a Pod through a real API server.

`docker` and `kind` are scripts that note what they are asked, and kind's cluster is this test's control plane. So this
shows which commands are composed, and not that an engine runs them.
"""

from __future__ import annotations

import http.server
import json
import os
import socket
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Kubectl
from tests.node.images import AGENT
from tests.node.kind_node import CLUSTER, CONTAINER, running_kind_node
from tests.node.node import LOOPBACK_PLUGIN, NoNodeError

from modelops.localcluster import LocalCluster

GATEWAY = "127.0.0.2"
"""An address of this machine that is not the sandbox's."""
KINDNET = {"cniVersion": "0.3.1", "name": "kindnet", "plugins": [{"type": "ptp"}, {"type": "portmap"}]}
RECORDER = """#!{python} -I
import json, os, pathlib, shutil, sys
asked = sys.argv[1:]
given = "" if "-i" not in asked else sys.stdin.read()
with open({record!r}, "a") as record:
    record.write(json.dumps([pathlib.Path(sys.argv[0]).name, asked, given]) + "\\n")
if asked[0] == "inspect":
    print(os.environ["GATEWAY"])
if "cat" in asked:
    print({kindnet!r})
if asked[0] == "create":
    shutil.copy({source!r}, asked[asked.index("--kubeconfig") + 1])
"""


@dataclass
class Recorded:
    """What `docker` and `kind` were asked: program, arguments, input."""

    file: Path

    def calls(self) -> list[list[Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    def input_of(self, path: str) -> str:
        return next(str(given) for _, arguments, given in self.calls() if path in arguments and given)


@pytest.fixture
def recorded(
    cluster: LocalCluster, kubectl: Kubectl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Recorded:
    """PATH has the two scripts; the cluster that kind creates is the test's."""
    kubeconfig = tmp_path / "source"
    kubeconfig.write_text(kubectl("config", "view", "--raw", "--flatten", check=True).stdout)
    context = kubectl("config", "current-context", check=True).stdout.strip()
    kubectl(f"--kubeconfig={kubeconfig}", "config", "rename-context", context, f"kind-{CLUSTER}", check=True)
    record = tmp_path / "record"
    for name in ("docker", "kind"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        text = RECORDER.format(
            python=sys.executable,
            record=str(record),
            source=str(kubeconfig),
            kindnet=json.dumps(KINDNET),
        )
        program.write_text(text)
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{cluster.kubectl.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("GATEWAY", GATEWAY)
    return Recorded(record)


def test_a_cluster_is_created_led_to_this_machines_loopback_and_deleted(
    recorded: Recorded, tmp_path: Path
) -> None:
    with listening("127.0.0.1") as port:
        with running_kind_node(tmp_path / "cluster", loopback_ports=[port]) as node:
            with socket.create_connection((GATEWAY, port), timeout=5) as connection:
                assert connection.recv(5) == b"hello"
            node.import_images({AGENT: tmp_path / "agent.tar"})
            node.kill("abc123")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((GATEWAY, port), timeout=5)
    network = json.loads(recorded.input_of("/etc/cni/net.d/00-modelops.conflist"))
    assert network == {
        **KINDNET,
        "plugins": [
            *KINDNET["plugins"],
            {"type": "host-loopback", "ports": [port], "machine": GATEWAY},
        ],
    }
    assert recorded.input_of("/opt/cni/bin/host-loopback") == LOOPBACK_PLUGIN.read_text()
    of_kind = [arguments for program, arguments, _ in recorded.calls() if program == "kind"]
    assert [arguments[:2] for arguments in of_kind] == [
        ["delete", "cluster"],
        ["create", "cluster"],
        ["load", "image-archive"],
        ["delete", "cluster"],
    ]
    assert all(arguments[arguments.index("--name") + 1] == CLUSTER for arguments in of_kind)
    last = [arguments for program, arguments, _ in recorded.calls() if program == "docker"][-1]
    kill = ["ctr", "-n", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", "abc123"]
    assert last == ["exec", CONTAINER, *kill]


def test_a_gateway_that_is_not_this_machine_is_no_place_for_a_node(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY", "203.0.113.1")
    with (
        pytest.raises(
            NoNodeError, match=r"the gateway 203\.0\.113\.1 of kind's network is no address of this"
        ),
        running_kind_node(tmp_path / "cluster", loopback_ports=[9]),
    ):
        pass
    program, arguments, _ = recorded.calls()[-1]
    assert (program, arguments[:2]) == ("kind", ["delete", "cluster"])


def test_a_pod_is_asked_through_the_api_server(
    recorded: Recorded, kubectl: Kubectl, namespace: str, tmp_path: Path
) -> None:
    """The Pod's address, which no kubelet reports here, is this machine's."""
    address = _address_of_this_machine()
    container = {"name": "agent", "image": AGENT}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "docs", "namespace": namespace},
        "spec": {"nodeName": "none", "automountServiceAccountToken": False, "containers": [container]},
    }
    kubectl("create", "-f", "-", input=json.dumps(pod), check=True)
    status = json.dumps({"status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}})
    kubectl(
        *("patch", "pod", "docs", "--subresource=status", "--type=merge", "-p", status),
        namespace=namespace,
        check=True,
    )
    with (
        serving_echo(address) as port,
        running_kind_node(tmp_path / "cluster", loopback_ports=[]) as node,
    ):
        url = node.url_of(pod).replace(":8000", f":{port}")
        request = urllib.request.Request(f"{url}/sessions/one/chat", b'{"messages": []}')
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            assert json.load(answer) == {"path": "/sessions/one/chat", "body": '{"messages": []}'}


@contextmanager
def listening(address: str) -> Iterator[int]:
    """Greets whoever connects."""
    server = socket.create_server((address, 0))

    def greet() -> None:
        connection, _ = server.accept()
        connection.sendall(b"hello")

    thread = threading.Thread(target=greet, daemon=True)
    thread.start()
    yield server.getsockname()[1]
    thread.join(10)
    server.close()


@contextmanager
def serving_echo(address: str) -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"path": self.path, "body": body}).encode())

    server = http.server.ThreadingHTTPServer((address, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def _address_of_this_machine() -> str:
    """The API server refuses to reach a Pod on the loopback. Nothing is sent: a UDP socket only chooses its address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as chooser:
        try:
            chooser.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but its loopback's")
        return str(chooser.getsockname()[0])
