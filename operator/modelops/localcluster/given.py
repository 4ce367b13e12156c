"""A cluster that modelops did not start: one context of a kubeconfig file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelops.localcluster import credentials
from modelops.localcluster.binaries import find_binaries
from modelops.localcluster.cluster import LocalCluster
from modelops.localcluster.errors import ClusterError
from modelops.localcluster.progress import Progress, to_stderr

_UNUSABLE = ("insecure-skip-tls-verify", "proxy-url", "tls-server-name")


@dataclass(frozen=True)
class KubeContext:
    """A context of `kubeconfig`, one file or several as in the variable KUBECONFIG."""

    kubeconfig: str
    name: str


def find_context(kubeconfig: str, name: str | None = None) -> KubeContext:
    """Return the context `name` of a kubeconfig, or its current context.

    Raises:
        ClusterError: there is no such file or context.
    """
    from kubernetes import config

    path = os.pathsep.join(str(Path(part).expanduser().absolute()) for part in kubeconfig.split(os.pathsep))
    try:
        contexts, current = config.list_kube_config_contexts(path)  # type: ignore[no-untyped-call]
    except (config.ConfigException, OSError) as error:
        raise ClusterError(
            f"kubeconfig {kubeconfig!r}: {error}; name a file that kubectl can use, and whose current context is set"
        ) from error
    names = sorted(str(entry["name"]) for entry in contexts)
    if name is not None and name not in names:
        raise ClusterError(f"kubeconfig {kubeconfig} has no context {name!r}, only {', '.join(names)}")
    return KubeContext(path, name or str(current["name"]))


def open_given(
    directory: Path,
    context: KubeContext,
    *,
    progress: Progress = to_stderr,
    environ: Mapping[str, str] = os.environ,
) -> LocalCluster:
    """Return a handle on the cluster of a context. Its kubeconfig has that context only, and is in `directory`.

    Raises:
        ClusterError: the context cannot be read, or how it verifies the server cannot be passed on to other programs.
    """
    kubectl = find_kubectl(progress=progress, environ=environ)
    command: list[str | Path] = [
        kubectl,
        "config",
        "view",
        "--minify",
        "--flatten",
        "--raw",
        f"--context={context.name}",
        "-o",
        "json",
    ]
    environment = {**environ, "KUBECONFIG": context.kubeconfig}
    shown = subprocess.run(command, env=environment, capture_output=True, text=True)
    if shown.returncode:
        raise ClusterError(f"context {context.name} of {context.kubeconfig}: {shown.stderr.strip()}")
    config: dict[str, Any] = json.loads(shown.stdout)
    cluster = config["clusters"][0]["cluster"]
    unusable = [f"has {key}" for key in _UNUSABLE if cluster.get(key)]
    if "certificate-authority-data" not in cluster:
        unusable.append("has no certificate-authority")
    if unusable:
        raise ClusterError(
            f"the cluster of context {context.name} {' and '.join(unusable)}: the operator and the agents verify the "
            "API server by the certificate authority that the kubeconfig names, and reach it directly"
        )
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    kubeconfig = directory / "kubeconfig"
    credentials.write_secret(kubeconfig, shown.stdout)
    return LocalCluster(
        directory,
        kubeconfig=kubeconfig,
        kubectl=kubectl,
        url=cluster["server"],
        ca_file=None,
        users={},
        supervisor=None,
    )


def find_kubectl(*, progress: Progress, environ: Mapping[str, str]) -> Path:
    """Return the kubectl on PATH, or the one that is built with the local control plane."""
    on_path = shutil.which("kubectl", path=environ.get("PATH"))
    return (
        Path(on_path)
        if on_path
        else find_binaries(controllers=False, progress=progress, environ=environ).kubectl
    )
