"""The CNI plugin in network namespaces of its own: it needs no node, and changes nothing of the machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.node.node import LOOPBACK_PLUGIN

PORT, API_PORT, OTHER_PORT = 41001, 41002, 41003
SERVICE, MACHINE, POD = "10.0.0.1", "10.99.0.1", "10.99.0.2"
SERVES = """
import socket, sys
servers = [socket.create_server((sys.argv[1], int(port))) for port in sys.argv[2:]]
print("ready", flush=True)
while True:
    for server in servers:
        server.settimeout(0.1)
        try:
            connection, (peer, _) = server.accept()
        except TimeoutError:
            continue
        connection.sendall(f"{peer} at {server.getsockname()[1]}".encode())
        connection.close()
"""
ASKS = """
import json, socket, sys
answers = []
for place in sys.argv[1:]:
    address, port = place.split(":")
    try:
        answers.append(socket.create_connection((address, int(port)), 5).recv(99).decode())
    except OSError as error:
        answers.append(type(error).__name__)
print(json.dumps(answers))
"""
SCENE = f"""
set -eu
unshare --net sleep 60 & pod=$!
trap 'kill $pod $server 2>/dev/null' EXIT
server=
until [ "$(readlink /proc/$pod/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
in_pod() {{ nsenter --net=/proc/$pod/ns/net "$@"; }}
ip link add machine type veth peer name eth0 netns $pod
ip address add {MACHINE}/24 dev machine; ip link set machine up; ip link set lo up
in_pod ip address add {POD}/24 dev eth0; in_pod ip link set eth0 up; in_pod ip link set lo up
in_pod ip route add default via {MACHINE}
"$PYTHON" -I -c "$SERVES" {MACHINE} {PORT} {API_PORT} {OTHER_PORT} >ready & server=$!
until [ -s ready ]; do sleep 0.05; done
CNI_COMMAND=ADD CNI_NETNS=/proc/$pod/ns/net "$PLUGIN" >result
in_pod "$PYTHON" -I -c "$ASKS" 127.0.0.1:{PORT} {SERVICE}:443 127.0.0.1:{OTHER_PORT}
"""
REFUSED = "a namespace of the network needs root, nft and jq"


def add(config: Mapping[str, object], folder: Path) -> list[str]:
    """Call the plugin for a Pod, and return what three connections of that Pod give."""
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", SCENE],
        input=json.dumps(config),
        cwd=folder,
        env={
            **os.environ,
            "PYTHON": sys.executable,
            "SERVES": SERVES,
            "ASKS": ASKS,
            "PLUGIN": str(LOOPBACK_PLUGIN),
        },
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


@pytest.fixture(autouse=True)
def namespaces_of_the_network() -> None:
    """Where they cannot be made, these tests are skipped."""
    if any(shutil.which(name) is None for name in ("unshare", "nsenter", "nft", "jq", "ip")):
        pytest.skip(REFUSED)
    if subprocess.run(["unshare", "--net", "ip", "link", "set", "lo", "up"], capture_output=True).returncode:
        pytest.skip(REFUSED)


def test_ports_of_the_pods_loopback_lead_to_the_machine_and_the_result_is_passed_on(tmp_path: Path) -> None:
    """As on kind: the API server's address is left to kube-proxy."""
    before = {"cniVersion": "0.3.1", "ips": [{"address": f"{POD}/24"}], "dns": {}}
    config = {"cniVersion": "0.3.1", "ports": [PORT, 9], "machine": MACHINE, "prevResult": before}
    loopback, api, other = add(config, tmp_path)
    assert loopback == f"{POD} at {PORT}"
    assert other == "ConnectionRefusedError"
    assert api != f"{POD} at {API_PORT}"
    assert json.loads((tmp_path / "result").read_text()) == before


def test_the_api_servers_address_leads_to_it_where_the_configuration_says_so(tmp_path: Path) -> None:
    config = {"ports": [PORT], "machine": MACHINE, "service": SERVICE, "apiPort": API_PORT, "prevResult": {}}
    assert add(config, tmp_path) == [f"{POD} at {PORT}", f"{POD} at {API_PORT}", "ConnectionRefusedError"]


def test_a_configuration_without_ports_fails_and_gives_no_result(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"jq: error"):
        add({"machine": MACHINE, "prevResult": {}}, tmp_path)
    assert (tmp_path / "result").read_text() == ""
