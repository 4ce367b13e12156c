"""Opens a site: sandbox, control plane, node, namespaces and volumes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.node.images import PAUSE
from tests.node.node import running_node
from tests.node.site import Site, loopback_ports

from modelops.demo.langsmith_datasets import create_datasets
from modelops.localcluster import start_cluster
from modelops.sandbox import client

VOLUMES = 12


@contextmanager
def open_site(images: Mapping[str, Path], folder: Path) -> Iterator[Site]:
    """A site for the length of a `with` block; the chart is not installed yet. `images`: archives by name."""
    environ = {name: value for name, value in os.environ.items() if name != "MODELOPS_KUBECONFIG"}
    with (
        client.start(folder / "sandbox") as sandbox,
        start_cluster(folder / "cluster", controllers=True, nodes=True, environ=environ) as cluster,
        running_node(cluster, loopback_ports=loopback_ports(sandbox), pause=images[PAUSE]) as node,
    ):
        node.import_images(images)
        site = Site(node, sandbox, folder, create_datasets(sandbox).tasks)
        site.make_namespaces()
        site.make_volumes(VOLUMES)
        yield site
