"""Where the servers come from: KUBEBUILDER_ASSETS, then the cache, then a build into the cache."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modelops.localcluster.errors import ClusterError
from modelops.localcluster.progress import Progress

SOURCES = Path(__file__).with_name("controlplane")


@dataclass(frozen=True)
class Binaries:
    """The programs of one control plane, all of one version."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path | None
    kubectl: Path


def kubernetes_version() -> str:
    """Read the version that is built, as in `v1.36.3`, from its one source: go.mod."""
    found = re.search(r"^\s*k8s\.io/kubernetes (v\S+)$", (SOURCES / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise ClusterError(f"{SOURCES / 'go.mod'} does not require k8s.io/kubernetes: reinstall modelops")
    return found[1]


def cache_root(environ: Mapping[str, str]) -> Path:
    """Name the folder that holds what is slow to make and may be deleted at any time."""
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path(environ.get("HOME") or Path.home()) / ".cache") / "modelops"


def find_binaries(
    *, controllers: bool, progress: Progress, environ: Mapping[str, str] = os.environ
) -> Binaries:
    """Find the servers, or build them once. `controllers`: with kube-controller-manager.

    Raises ClusterError when KUBEBUILDER_ASSETS names a folder without an API server, or the build fails.
    """
    # Only a machine that has neither assets nor a cache pays for the import.
    from modelops.localcluster.gobuild import build_missing

    assets = environ.get("KUBEBUILDER_ASSETS")
    if assets:
        _require_api_server(Path(assets))
        found = _in_folder(Path(assets), controllers=controllers)
        if found:
            return found
        progress(
            f"KUBEBUILDER_ASSETS={assets} has no kube-controller-manager, which is needed: trying the cache"
        )
    cache = cache_root(environ) / "controlplane" / kubernetes_version()
    found = _in_folder(cache, controllers=controllers)
    if found is None:
        build_missing(cache, controllers=controllers, progress=progress, environ=environ)
        found = _in_folder(cache, controllers=controllers)
    if found is None:
        raise ClusterError(f"the build ended, but {cache} lacks a server: delete that folder and try again")
    return found


def _in_folder(folder: Path, *, controllers: bool) -> Binaries | None:
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
            "unset it to use the built servers, or point it at a folder that has them"
        )
