"""Where the server binaries are searched, in which order, and the error if they are missing."""

from pathlib import Path

import pytest

from modelops.localcluster import ClusterError, open_cluster
from modelops.localcluster.binaries import find_binaries
from modelops.localcluster.cache import cache_root
from modelops.localcluster.sources import kubernetes_version

SERVERS = ("etcd", "kube-apiserver", "kubectl")


def put(folder: Path, *names: str) -> Path:
    """Make a folder with programs of these names."""
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


def never(line: str) -> None:
    pytest.fail(f"expected no progress output, got: {line}")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "cache" / "modelops" / "controlplane" / kubernetes_version()
    return put(folder, *SERVERS, "kube-controller-manager")


def test_assets_come_before_the_cache(tmp_path: Path, cache: Path) -> None:
    assets = put(tmp_path / "assets", *SERVERS)
    environ = {"KUBEBUILDER_ASSETS": str(assets), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert find_binaries(controllers=False, progress=never, environ=environ).etcd == assets / "etcd"


def test_cache_is_used_without_progress_output(tmp_path: Path, cache: Path) -> None:
    found = find_binaries(
        controllers=True, progress=never, environ={"XDG_CACHE_HOME": str(tmp_path / "cache")}
    )
    assert found.kube_apiserver == cache / "kube-apiserver"
    assert found.kube_controller_manager == cache / "kube-controller-manager"


def test_assets_without_controllers_are_reported_and_the_cache_is_used(tmp_path: Path, cache: Path) -> None:
    assets = put(tmp_path / "assets", *SERVERS)
    lines: list[str] = []
    environ = {"KUBEBUILDER_ASSETS": str(assets), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert find_binaries(controllers=True, progress=lines.append, environ=environ).etcd == cache / "etcd"
    assert "no kube-controller-manager" in lines[0]


def test_assets_without_an_api_server_are_an_error_that_names_the_variable(tmp_path: Path) -> None:
    assets = put(tmp_path / "assets", "etcd")
    with pytest.raises(
        ClusterError, match=r"KUBEBUILDER_ASSETS=.* has no kube-apiserver and no kubectl: unset"
    ):
        find_binaries(controllers=False, progress=never, environ={"KUBEBUILDER_ASSETS": str(assets)})


def test_missing_explicit_kubeconfig_is_an_error_that_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"MODELOPS_KUBECONFIG=.*no such file"):
        open_cluster(environ={"MODELOPS_KUBECONFIG": str(tmp_path / "none")})


@pytest.mark.parametrize(
    ("environ", "root"),
    [
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/modelops"),
        ({"XDG_CACHE_HOME": "", "HOME": "/h"}, "/h/.cache/modelops"),
        ({"HOME": "/h"}, "/h/.cache/modelops"),
    ],
)
def test_cache_follows_the_xdg_convention(environ: dict[str, str], root: str) -> None:
    assert cache_root(environ) == Path(root)
