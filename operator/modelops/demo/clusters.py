"""The cluster of the demo: one of its own, the one of a kubeconfig's context, or one that kind creates."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from modelops.demo.cluster_access import Kubectl
from modelops.demo.folder import DemoFolder
from modelops.demo.given_cluster import (
    create_missing_crds,
    plan_objects,
    remove_created,
    save_created,
    save_planned,
)
from modelops.localcluster import ClusterError, LocalCluster, open_cluster
from modelops.localcluster.binaries import find_binaries
from modelops.localcluster.given import KubeContext, find_kubectl, open_given
from modelops.localcluster.kind import Kind, find_kind

Progress = Callable[[str], None]
KIND_CLUSTER: Final = "modelops-demo"


class OwnCluster:
    """A control plane that ends with the demo."""

    def prepare(self, progress: Progress) -> None:
        """Build what is missing. It can take minutes; in the main thread Ctrl-C stops it."""
        find_binaries(controllers=True, progress=progress, environ=_environ())

    def open(self, folder: DemoFolder, stack: ExitStack, _progress: Progress) -> LocalCluster:
        """Start the control plane; `stack` stops it."""
        cluster = open_cluster(folder.cluster, controllers=True, environ=_environ())
        stack.callback(cluster.stop)
        return cluster

    def describe(self, cluster: LocalCluster) -> str:
        """Return a line that says which cluster is used."""
        return f"control plane: a real kube-apiserver at {cluster.url}, with kubectl of the same version"


class KindCluster:
    """A cluster that kind creates, and that is deleted at the end."""

    def __init__(self) -> None:
        self._kind: Kind | None = None

    def prepare(self, progress: Progress) -> None:
        """Build kind if it is missing. Raises ClusterError if no container engine answers."""
        self._kind = find_kind(progress=progress)

    def open(self, folder: DemoFolder, stack: ExitStack, progress: Progress) -> LocalCluster:
        """Create the cluster; `stack` deletes it."""
        assert self._kind is not None
        if KIND_CLUSTER in self._kind.names():
            raise ClusterError(
                f"kind has a cluster {KIND_CLUSTER} already, of a demo that runs or was killed: stop that demo, or "
                f"delete the cluster with `kind delete cluster --name {KIND_CLUSTER}`"
            )
        progress(
            f"kind: creating cluster {KIND_CLUSTER} with {self._kind.engine}, and its image the first time"
        )
        folder.cluster.mkdir(parents=True, exist_ok=True, mode=0o700)
        saved = {"program": str(self._kind.program), "engine": self._kind.engine}
        folder.kind.write_text(json.dumps(saved))
        stack.callback(delete_kind_cluster, folder)
        context = self._kind.create(KIND_CLUSTER, kubeconfig=_kind_kubeconfig(folder))
        return open_given(folder.cluster, context)

    def describe(self, cluster: LocalCluster) -> str:
        """Return a line that says which cluster is used."""
        return f"cluster: {KIND_CLUSTER} of kind, at {cluster.url}"


class GivenCluster:
    """The cluster of a context, in which the demo removes at the end what it has created."""

    def __init__(self, context: KubeContext) -> None:
        self._context = context

    def prepare(self, _progress: Progress) -> None:
        """Nothing is built before the cluster is known to be usable."""

    def open(self, folder: DemoFolder, stack: ExitStack, progress: Progress) -> LocalCluster:
        """Return a handle on the cluster; `stack` deletes its kubeconfig. Raises ClusterError."""
        stack.callback(_forget_given_cluster, folder)
        return open_given(folder.cluster, self._context, progress=progress)

    def describe(self, cluster: LocalCluster) -> str:
        """Return a line that says which cluster is used."""
        return f"cluster: that of context {self._context.name}, at {cluster.url}"

    def install(self, kubectl: Kubectl, folder: DemoFolder, stack: ExitStack, progress: Progress) -> None:
        """Create the CRDs that are missing, namespaces and RBAC; `stack` removes them.

        Raises:
            ClusterRefusedError: the cluster has what the demo would have to change; it was not changed.
            KubectlError: the cluster does not answer, or refuses something.
        """
        manifest = folder.manifests / "1-cluster.yaml"
        planned = plan_objects(kubectl, manifest)
        save_planned(folder.created, planned)
        stack.callback(remove_created, folder.created, kubectl, progress)
        progress(f"creating in the cluster: {', '.join(planned)}; all of it is removed at the end")
        create_missing_crds(kubectl, planned)
        kubectl.apply(manifest)
        save_created(folder.created, kubectl)


DemoCluster = OwnCluster | KindCluster | GivenCluster


def delete_kind_cluster(folder: DemoFolder) -> None:
    """Delete the kind cluster that a demo in this folder has created, if it has."""
    if folder.kind.exists():
        saved = json.loads(folder.kind.read_text())
        Kind(Path(saved["program"]), saved["engine"]).delete(
            KIND_CLUSTER, kubeconfig=_kind_kubeconfig(folder)
        )
        folder.kind.unlink()


def leave_given_cluster(folder: DemoFolder, progress: Progress) -> None:
    """Remove what a demo in this folder has created in a given cluster. Raises KubectlError, ClusterError."""
    if folder.created.exists():
        kubectl = find_kubectl(progress=progress, environ=_environ())
        remove_created(folder.created, Kubectl(kubectl, folder.cluster / "kubeconfig"), progress)
    _forget_given_cluster(folder)


def _forget_given_cluster(folder: DemoFolder) -> None:
    """Delete the kubeconfig, unless it is still needed to remove something."""
    if not folder.created.exists():
        shutil.rmtree(folder.cluster, ignore_errors=True)


def _kind_kubeconfig(folder: DemoFolder) -> Path:
    return folder.cluster / "kind.kubeconfig"


def _environ() -> Mapping[str, str]:
    """Without MODELOPS_KUBECONFIG: no cluster is used that was not named on the command line."""
    return {name: value for name, value in os.environ.items() if name != "MODELOPS_KUBECONFIG"}
