"""Where a node of these tests runs: what each place needs of this machine, and what is missing."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from enum import Enum
from pathlib import Path

from modelops.localcluster.kind import engine_problem

PACKAGES = (
    "containerd",
    "runc",
    "containernetworking-plugins",
    "iproute2",
    "nftables",
    "jq",
    "busybox-static",
    "buildah",
    "mmdebstrap",
)
"""Of Debian 12 or newer; `.ci/run` installs them where it may."""

PROGRAMS = ("containerd", "runc", "ctr", "ip", "nft", "nsenter", "jq", "buildah", "mmdebstrap")
CNI_PLUGINS = Path("/usr/lib/cni")
BUSYBOX = Path("/bin/busybox")


class Place(Enum):
    """Where the node runs."""

    KIND = "kind"
    MACHINE = "machine"


class NoPlaceError(RuntimeError):
    """No node can run here; the message says what each place lacks."""


def find_place() -> Place:
    """kind where a Docker engine answers, else a node of this machine's own. Raises NoPlaceError."""
    no_kind = missing_for_kind()
    if not no_kind:
        return Place.KIND
    no_node = missing()
    if not no_node:
        return Place.MACHINE
    raise NoPlaceError(f"tests/node needs kind or a node of this machine: {no_kind}; {no_node}")


def missing_for_kind() -> str:
    """Why kind runs no node here; empty if it can."""
    if sys.platform != "linux":
        return "the Pods of kind reach this machine on Linux only"
    if problem := engine_problem("docker"):
        return f"kind needs a Docker engine, and {problem}"
    return ""


def missing() -> str:
    """Why no node of this machine's own can run; empty if one can."""
    if sys.platform != "linux":
        return "a node needs Linux"
    if os.geteuid() != 0:
        return "a node needs root"
    if running := _running_kubelet():
        return f"a node of its own runs here already: process {running} is a kubelet"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    absent += [
        str(path) for path in (CNI_PLUGINS / "ptp", CNI_PLUGINS / "host-local", BUSYBOX) if not path.exists()
    ]
    if absent:
        return f"a node needs {', '.join(absent)}: apt-get install {' '.join(PACKAGES)}"
    return ""


def _running_kubelet() -> str:
    for entry in Path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):
            if entry.read_text().strip() == "kubelet":
                return entry.parent.name
    return ""


def main() -> None:
    """Print the packages, for `.ci/run`."""
    print(" ".join(PACKAGES))


if __name__ == "__main__":
    main()
