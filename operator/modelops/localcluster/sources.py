"""The Go module whose programs are built: its folder and the Kubernetes version that it requires."""

import re
from pathlib import Path

from modelops.localcluster.errors import ClusterError

SOURCES = Path(__file__).with_name("controlplane")


def kubernetes_version() -> str:
    """Read the version that is built, such as `v1.36.3`, from go.mod.

    Raises ClusterError when go.mod does not require k8s.io/kubernetes.
    """
    found = re.search(r"^\s*k8s\.io/kubernetes (v\S+)$", (SOURCES / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise ClusterError(f"{SOURCES / 'go.mod'} does not require k8s.io/kubernetes: reinstall modelops")
    return found[1]
