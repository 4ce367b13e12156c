"""Finds the server binaries: in KUBEBUILDER_ASSETS, then in the cache; otherwise they are built into the cache."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modelops.localcluster.cache import cache_root
from modelops.localcluster.errors import ClusterError
from modelops.localcluster.gobuild import NODE_PROGRAMS, PROGRAMS, build_missing
from modelops.localcluster.progress import Progress
from modelops.localcluster.sources import kubernetes_version


@dataclass(frozen=True)
class Binaries:
    """The programs of one control plane, all of one Kubernetes version."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path | None
    kubectl: Path


def find_binaries(
    *, controllers: bool, progress: Progress, environ: Mapping[str, str] = os.environ
) -> Binaries:
    """Find the servers, or build them once per machine and version.

    `controllers`: kube-controller-manager is needed, too. Raises ClusterError when KUBEBUILDER_ASSETS names a
    folder without an API server, or when the build fails.
    """
    assets = environ.get("KUBEBUILDER_ASSETS")
    if assets:
        _require_api_server(Path(assets))
        found = _binaries_in(Path(assets), controllers=controllers)
        if found:
            return found
        progress(
            f"KUBEBUILDER_ASSETS={assets} has no kube-controller-manager, which is needed: looking in the cache"
        )
    cache = cache_root(environ) / "controlplane" / kubernetes_version()
    found = _binaries_in(cache, controllers=controllers)
    if found is None:
        programs = [one for one in PROGRAMS if controllers or one.name != "kube-controller-manager"]
        build_missing(cache, programs=programs, progress=progress, environ=environ)
        found = _binaries_in(cache, controllers=controllers)
    if found is None:
        raise ClusterError(
            f"the build succeeded, but {cache} lacks a server: delete that folder and try again"
        )
    return found


def find_node_programs(*, progress: Progress, environ: Mapping[str, str] = os.environ) -> Path:
    """The folder with kubelet, kube-scheduler and kube-proxy of the control plane's version; builds what is missing.

    Raises ClusterError when the build fails.
    """
    cache = cache_root(environ) / "controlplane" / kubernetes_version()
    build_missing(cache, programs=NODE_PROGRAMS, progress=progress, environ=environ)
    return cache


def _binaries_in(folder: Path, *, controllers: bool) -> Binaries | None:
    needed = ["etcd", "kube-apiserver", "kubectl", *(["kube-controller-manager"] if controllers else [])]
    if not all(os.access(folder / name, os.X_OK) for name in needed):
        return None
    return Binaries(
        etcd=folder / "etcd",
        kube_apiserver=folder / "kube-apiserver",
        kube_controller_manager=folder / "kube-controller-manager" if controllers else None,
        kubectl=folder / "kubectl",
    )


def _require_api_server(assets: Path) -> None:
    missing = [n for n in ("etcd", "kube-apiserver", "kubectl") if not os.access(assets / n, os.X_OK)]
    if missing:
        raise ClusterError(
            f"KUBEBUILDER_ASSETS={assets} has no {' and no '.join(missing)}: "
            "unset it to use the servers that modelops builds, or set it to a folder that has them"
        )
