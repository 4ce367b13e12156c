"""A Kubernetes node on this machine: containerd, kubelet, kube-proxy and a scheduler beside a local control plane."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.node.forwarder import forwarding
from tests.node.images import PAUSE
from tests.node.machine import MACHINE, put_back_afterwards
from tests.node.names import DOMAIN, serving_names
from tests.node.needs import CNI_PLUGINS
from tests.patience import deadline_after

from modelops.free_port import free_port
from modelops.localcluster import LocalCluster
from modelops.localcluster.binaries import find_node_programs
from modelops.localcluster.progress import to_stderr
from modelops.localcluster.supervisor_client import SupervisorClient

PODS = "10.88.0.0/16"
API_SERVICE = "10.0.0.1"
NAME = "localhost"
LOOPBACK_PLUGIN = Path(__file__).with_name("host-loopback.sh")


class NoNodeError(RuntimeError):
    """This machine does not let a node run; the message says what did not start, with the end of its log."""


@dataclass
class Node:
    """A node that is Ready. `folder`: its files."""

    cluster: LocalCluster
    folder: Path
    supervisor: SupervisorClient
    name: str = NAME

    def import_images(self, archives: Mapping[str, Path]) -> None:
        """Make images available to the kubelet, under the names in their archives."""
        for archive in archives.values():
            self._ctr("images", "import", str(archive))

    def url_of(self, pod: Any) -> str:
        """Where this machine reaches port 8000 of a Pod."""
        return f"http://{pod['status']['podIP']}:8000"

    def kill(self, container: str) -> None:
        """SIGKILL to a container's first process."""
        os.kill(self.process_of(container), signal.SIGKILL)

    def process_of(self, container: str) -> int:
        """The process id of a container's first process."""
        for line in self._ctr("tasks", "list").splitlines()[1:]:
            name, process, _ = line.split()
            if name == container:
                return int(process)
        raise LookupError(f"no container {container} runs")

    def _ctr(self, *arguments: str) -> str:
        command = ["ctr", "--address", str(self.folder / "containerd.sock"), "-n", "k8s.io", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def running_node(cluster: LocalCluster, *, loopback_ports: Sequence[int], pause: Path) -> Iterator[Node]:
    """Run a node for the length of a `with` block, and put the machine back as it was.

    `loopback_ports`: ports of this machine's loopback that are the Pods' loopback, too. `pause`: archive of PAUSE.
    Raises NoNodeError where containerd does not start, the node does not become Ready, or a Pod of busybox does not run or
    does not reach the machine: then this machine is not made for it, whatever our own images do.
    """
    programs = find_node_programs(progress=to_stderr)
    with ExitStack() as stack:
        # Paths of sockets are limited to about a hundred characters.
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="modelops-node-", dir="/var/tmp"))
        )
        stack.enter_context(put_back_afterwards(folder))
        api_port = urlsplit(cluster.url).port or 443
        stack.enter_context(forwarding(MACHINE, [api_port, *loopback_ports]))
        stack.enter_context(serving_names(cluster, MACHINE))
        supervisor = SupervisorClient.start(folder, remove=False)
        stack.callback(supervisor.end)
        stack.callback(_kill_servers, folder)
        node = Node(cluster, folder, supervisor)
        _write_configuration(node, api_port=api_port, loopback_ports=loopback_ports)
        supervisor.start_server("containerd", ["containerd", "--config", str(folder / "containerd.toml")])
        _wait(lambda: _imports(node, pause), folder / "containerd.log")
        for name in ("kube-scheduler", "kubelet", "kube-proxy"):
            supervisor.start_server(name, [str(programs / name), *_arguments(node, name)])
        _wait(lambda: _is_ready(cluster), folder / "kubelet.log")
        _try_a_pod(node, ports=loopback_ports[:1])
        yield node


def _try_a_pod(node: Node, *, ports: Sequence[int]) -> None:
    """A connection that is refused or not made ends nc with 1; one that is idle is ended by `timeout`."""
    places = " ".join(f"127.0.0.1:{port}" for port in ports) + f" {API_SERVICE}:443"
    program = (
        f"for at in {places}; do"
        " /busybox timeout 2 /busybox nc -w 1 ${at%:*} ${at#*:} </dev/null; [ $? != 1 ] || exit 1; done"
    )
    container = {
        "name": "tries",
        "image": PAUSE,
        "imagePullPolicy": "Never",
        "command": ["/busybox", "sh", "-c", program],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "tries", "namespace": "default"},
        "spec": {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container]},
    }

    def is_made() -> bool:  # The namespace's service account comes a moment after the namespace.
        return _kubectl(node.cluster, "create", "-f", "-", input=json.dumps(pod)).returncode == 0

    def has_succeeded() -> bool:
        shown = _kubectl(node.cluster, "get", "pod", "tries", "-o", "jsonpath={.status.phase}")
        if shown.stdout == "Failed":
            log = _kubectl(node.cluster, "logs", "tries").stdout
            raise NoNodeError(f"a Pod on this machine reaches none or not all of {places}: {log[-500:]}")
        return shown.stdout == "Succeeded"

    _wait(is_made, node.folder / "kubelet.log")
    _wait(has_succeeded, node.folder / "kubelet.log")
    _kubectl(node.cluster, "delete", "pod", "tries", "--wait=false")


def _kubectl(
    cluster: LocalCluster, *arguments: str, input: str | None = None
) -> subprocess.CompletedProcess[str]:
    command = [cluster.kubectl, "--kubeconfig", cluster.kubeconfig, *arguments]
    return subprocess.run(command, input=input, capture_output=True, text=True)


def _kill_servers(folder: Path) -> None:
    """The supervisor would wait for each of them; nothing of theirs is kept."""
    for file in folder.glob("*.pid"):
        with suppress(ProcessLookupError):
            os.kill(int(file.read_text()), signal.SIGKILL)


def _arguments(node: Node, name: str) -> list[str]:
    if name == "kube-scheduler":
        return [f"--kubeconfig={node.cluster.kubeconfig}", "--leader-elect=false", "--secure-port=0"]
    if name == "kube-proxy":
        return [f"--config={node.folder / 'kube-proxy.json'}", f"--hostname-override={NAME}"]
    return [
        f"--kubeconfig={node.cluster.kubeconfig}",
        f"--config={node.folder / 'kubelet.json'}",
        f"--root-dir={node.folder / 'kubelet'}",
        f"--hostname-override={NAME}",
        f"--node-ip={MACHINE}",
    ]


def _write_configuration(node: Node, *, api_port: int, loopback_ports: Sequence[int]) -> None:
    folder = node.folder
    (folder / "containerd.toml").write_text(_containerd(folder))
    (folder / "cni").mkdir()
    plugins = folder / "plugins"
    plugins.mkdir()
    for plugin in ("ptp", "host-local", "loopback"):
        (plugins / plugin).symlink_to(CNI_PLUGINS / plugin)
    (plugins / "host-loopback").symlink_to(LOOPBACK_PLUGIN)
    ipam = {"type": "host-local", "dataDir": str(folder / "ipam"), "ranges": [[{"subnet": PODS}]]}
    chain = [
        {"type": "ptp", "ipMasq": False, "ipam": {**ipam, "routes": [{"dst": "0.0.0.0/0"}]}},
        {
            "type": "host-loopback",
            "ports": list(loopback_ports),
            "machine": MACHINE,
            "service": API_SERVICE,
            "apiPort": api_port,
        },
    ]
    network = {"cniVersion": "0.4.0", "name": "modelops", "plugins": chain}
    (folder / "cni" / "10-modelops.conflist").write_text(json.dumps(network))
    (folder / "kubelet.json").write_text(json.dumps(_kubelet(folder)))
    (folder / "kube-proxy.json").write_text(json.dumps(_kube_proxy(node.cluster)))


def _containerd(folder: Path) -> str:
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
root = "{folder}/containerd"
state = "{folder}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.opt"]
[grpc]
  address = "{folder}/containerd.sock"
[{cri}]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
[{cri}.cni]
  bin_dir = "{folder}/plugins"
  conf_dir = "{folder}/cni"
[{cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[{cri}.containerd.runtimes.runc.options]
  SystemdCgroup = false
"""


def _kubelet(folder: Path) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "127.0.0.1",
        "port": free_port(),
        "healthzPort": 0,
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{folder}/containerd.sock",
        "clusterDNS": [MACHINE],
        "clusterDomain": DOMAIN,
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "localStorageCapacityIsolation": False,
        "makeIPTablesUtilChains": False,
        "podLogsDir": f"{folder}/pod-logs",
        "volumePluginDir": f"{folder}/volume-plugins",
        "failSwapOn": False,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "serializeImagePulls": False,
    }


def _kube_proxy(cluster: LocalCluster) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(cluster.kubeconfig)},
        "mode": "nftables",
        "clusterCIDR": PODS,
        "healthzBindAddress": f"127.0.0.1:{free_port()}",
        "metricsBindAddress": f"127.0.0.1:{free_port()}",
        "nftables": {"minSyncPeriod": "100ms"},
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def _is_ready(cluster: LocalCluster) -> bool:
    status = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
    return _kubectl(cluster, "get", "node", NAME, "-o", status).stdout == "True"


def _imports(node: Node, archive: Path) -> bool:
    try:
        node.import_images({PAUSE: archive})
    except subprocess.CalledProcessError:
        return False
    return True


def _wait(condition: Callable[[], bool], log: Path, seconds: float = 60) -> None:
    deadline = deadline_after(seconds)
    while not condition():
        if time.monotonic() > deadline:
            last = log.read_text(errors="replace")[-1500:] if log.exists() else "there is no log"
            raise NoNodeError(f"no node runs on this machine; {log.name} ends with:\n{last}")
        time.sleep(0.2)
