"""The node of a kind cluster, whose Pods reach what listens on this machine's loopback.

This needs a Docker engine on this Linux: its bridge has an address of this machine, and there the forwarder listens.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.node.forwarder import forwarding
from tests.node.images import OPERATOR
from tests.node.node import LOOPBACK_PLUGIN, NoNodeError
from tests.patience import patient

from modelops.localcluster import ClusterError, LocalCluster
from modelops.localcluster.cache import cache_root
from modelops.localcluster.given import open_given
from modelops.localcluster.kind import Kind, find_program
from modelops.localcluster.lock import exclusive_lock

CLUSTER = "modelops-test-node"
CONTAINER = f"{CLUSTER}-control-plane"
"""kind gives the node and its container this name."""
_NETWORKS = "/etc/cni/net.d"
_PLUGIN = "/opt/cni/bin/host-loopback"
_REACH = """
import os, socket, sys
api = (os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"]))
for at in [("127.0.0.1", int(port)) for port in sys.argv[1:]] + [api]:
    socket.create_connection(at, 5).close()
"""


@dataclass(frozen=True)
class KindNode:
    """A node that is Ready. `proxy`: the URL of a `kubectl proxy`."""

    cluster: LocalCluster
    kind: Kind
    proxy: str
    name: str = CONTAINER

    def import_images(self, archives: Mapping[str, Path]) -> None:
        """Make images available to the kubelet, under the names in their archives."""
        for archive in archives.values():
            self.kind.load(CLUSTER, archive)

    def url_of(self, pod: Any) -> str:
        """Where this machine reaches port 8000 of a Pod, whose own address it has no route to."""
        metadata = pod["metadata"]
        return f"{self.proxy}/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}:8000/proxy"

    def kill(self, container: str) -> None:
        """SIGKILL to a container's first process."""
        _inside("ctr", "-n", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", container)


@contextmanager
def running_kind_node(folder: Path, *, loopback_ports: Sequence[int]) -> Iterator[KindNode]:
    """Run a cluster of kind for the length of a `with` block. `folder`: for its kubeconfig.

    `loopback_ports`: ports of this machine's loopback that are the loopback of the Pods made from now on, too.
    Raises NoNodeError where kind creates no cluster, or the gateway of its network is not this machine.
    """
    with ExitStack() as stack:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        kubeconfig = folder / "kind.kubeconfig"
        # Whoever has the lock is alone, so a cluster of this name is left from a run that was killed.
        stack.enter_context(exclusive_lock(cache_root(os.environ) / "node" / "kind.lock"))
        try:
            kind = Kind(find_program(), "docker")
            kind.delete(CLUSTER, kubeconfig=kubeconfig)
            stack.callback(kind.delete, CLUSTER, kubeconfig=kubeconfig)
            cluster = open_given(folder, kind.create(CLUSTER, kubeconfig=kubeconfig))
        except ClusterError as error:
            raise NoNodeError(str(error)) from error
        networks = "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}"
        gateway = _docker("inspect", "--format", networks, CONTAINER).strip()
        try:
            stack.enter_context(forwarding(gateway, loopback_ports))
        except OSError as error:
            raise NoNodeError(
                f"the gateway {gateway} of kind's network is no address of this machine, as with Docker Desktop, "
                f"rootless Docker or an engine elsewhere: {error}"
            ) from error
        _lead_loopback_to(gateway, loopback_ports)
        yield KindNode(cluster, kind, stack.enter_context(_kubectl_proxy(cluster)))


def _lead_loopback_to(gateway: str, ports: Sequence[int]) -> None:
    """Append our plugin to kindnet's chain, in a file of its own, because kindnet's daemon writes its file again.

    containerd takes the file that comes first by name, and reads the folder again when it changes.
    """
    network = json.loads(_inside("cat", f"{_NETWORKS}/10-kindnet.conflist"))
    network["plugins"].append({"type": "host-loopback", "ports": list(ports), "machine": gateway})
    _write(_PLUGIN, LOOPBACK_PLUGIN.read_text(), mode="755")
    _write(f"{_NETWORKS}/00-modelops.conflist", json.dumps(network), mode="644")


def try_a_pod(node: KindNode, *, ports: Sequence[int]) -> None:
    """A Pod reaches the ports and the API server, or NoNodeError is raised. It runs in the operator's image.

    It is of a Job, which makes another Pod if the first one came before containerd had read the network again.
    """
    container = {
        "name": "tries",
        "image": OPERATOR,
        "imagePullPolicy": "Never",
        "command": ["python3", "-c", _REACH, *map(str, ports)],
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "tries", "namespace": "default"},
        "spec": {
            "backoffLimit": 2,
            "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
        },
    }
    kubectl: list[str | Path] = [
        node.cluster.kubectl,
        "--kubeconfig",
        node.cluster.kubeconfig,
        "-n",
        "default",
    ]
    subprocess.run([*kubectl, "create", "-f", "-"], input=json.dumps(job), text=True, check=True)
    wait = [*kubectl, "wait", "--for=condition=Complete", "job/tries", f"--timeout={patient(90):.0f}s"]
    if subprocess.run(wait, capture_output=True).returncode:
        log = subprocess.run([*kubectl, "logs", "job/tries"], capture_output=True, text=True)
        raise NoNodeError(
            "a Pod of kind does not reach this machine or the API server; a firewall of this machine may refuse what "
            f"comes from Docker's bridges: {log.stdout[-500:]}{log.stderr[-500:]}"
        )
    subprocess.run([*kubectl, "delete", "job", "tries", "--wait=false"], check=True)


@contextmanager
def _kubectl_proxy(cluster: LocalCluster) -> Iterator[str]:
    command: list[str | Path] = [cluster.kubectl, "--kubeconfig", cluster.kubeconfig, "proxy", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()  # "Starting to serve on 127.0.0.1:PORT"
            yield f"http://{line.split()[-1]}"
        finally:
            process.terminate()


def _write(path: str, text: str, *, mode: str) -> None:
    """A file in the node, which appears when it is complete."""
    program = 'cat >"$1.part" && chmod "$2" "$1.part" && mv "$1.part" "$1"'
    _docker("exec", "-i", CONTAINER, "sh", "-c", program, "sh", path, mode, input=text)


def _inside(*command: str) -> str:
    return _docker("exec", CONTAINER, *command)


def _docker(*arguments: str, input: str | None = None) -> str:
    done = subprocess.run(["docker", *arguments], input=input, capture_output=True, text=True)
    assert done.returncode == 0, f"docker {' '.join(arguments[:4])}: {done.stderr.strip()}"
    return done.stdout
