"""What a node needs of this machine, and why there is none where something is missing."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

PACKAGES = (
    "containerd",
    "runc",
    "containernetworking-plugins",
    "iproute2",
    "nftables",
    "busybox-static",
    "buildah",
    "mmdebstrap",
)
"""Of Debian 12 or newer; `.ci/run` installs them where it may."""

PROGRAMS = ("containerd", "runc", "ctr", "ip", "nft", "nsenter", "buildah", "mmdebstrap")
CNI_PLUGINS = Path("/usr/lib/cni")
BUSYBOX = Path("/bin/busybox")


def missing() -> str:
    """Why no node can run here; empty if one can."""
    if sys.platform != "linux":
        return "a node needs Linux"
    if os.geteuid() != 0:
        return "a node needs root"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    absent += [str(path) for path in (CNI_PLUGINS / "ptp", CNI_PLUGINS / "host-local", BUSYBOX) if not path.exists()]
    if absent:
        return f"a node needs {', '.join(absent)}: apt-get install {' '.join(PACKAGES)}"
    return ""


def main() -> None:
    """Print the packages, for `.ci/run`."""
    print(" ".join(PACKAGES))


if __name__ == "__main__":
    main()
