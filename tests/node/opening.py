"""Opens a site: sandbox, a node in one of the places, namespaces and volumes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.node.images import PAUSE
from tests.node.kind_node import KindNode, running_kind_node, try_a_pod
from tests.node.needs import Place
from tests.node.node import Node, running_node
from tests.node.site import Site, loopback_ports

from modelops.demo.langsmith_datasets import create_datasets
from modelops.localcluster import start_cluster
from modelops.sandbox import client

VOLUMES = 14


@contextmanager
def open_site(place: Place, images: Mapping[str, Path], folder: Path) -> Iterator[Site]:
    """A site for the length of a `with` block; the chart is not installed yet. `images`: archives by name.

    Raises NoNodeError where this machine does not let a node run.
    """
    with client.start(folder / "sandbox") as sandbox:
        opened = _on_kind if place is Place.KIND else _on_this_machine
        with opened(images, folder / "cluster", loopback_ports(sandbox)) as node:
            site = Site(node, sandbox, folder, create_datasets(sandbox).tasks)
            site.make_namespaces()
            if isinstance(node, Node):  # kind has a provisioner
                _make_volumes(site, node)
            yield site


@contextmanager
def _on_this_machine(images: Mapping[str, Path], folder: Path, ports: Sequence[int]) -> Iterator[Node]:
    environ = {name: value for name, value in os.environ.items() if name != "MODELOPS_KUBECONFIG"}
    with (
        start_cluster(folder, controllers=True, nodes=True, environ=environ) as cluster,
        running_node(cluster, loopback_ports=ports, pause=images[PAUSE]) as node,
    ):
        node.import_images(images)
        yield node


@contextmanager
def _on_kind(images: Mapping[str, Path], folder: Path, ports: Sequence[int]) -> Iterator[KindNode]:
    with running_kind_node(folder, loopback_ports=ports) as node:
        node.import_images(images)
        try_a_pod(node, ports=ports)
        yield node


def _make_volumes(site: Site, node: Node) -> None:
    """A default storage class, and volumes of it."""
    site.kubectl("apply", "-f", Path(__file__).parent / "manifests" / "storage.yaml")
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node.name]}
    volumes = []
    for number in range(VOLUMES):
        path = node.folder / "volumes" / str(number)
        path.mkdir(parents=True)
        spec = {
            "capacity": {"storage": "10Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "by-hand",
            "local": {"path": str(path)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        }
        volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"volume-{number}"}}
        volumes.append({**volume, "spec": spec})
    site.apply(*volumes)
