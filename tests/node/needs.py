"""What a node needs of this machine, and why there is none where something is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import suppress
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
    if running := _running_kubelet():
        return f"a node of its own runs here already: process {running} is a kubelet"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    absent += [
        str(path) for path in (CNI_PLUGINS / "ptp", CNI_PLUGINS / "host-local", BUSYBOX) if not path.exists()
    ]
    if absent:
        return f"a node needs {', '.join(absent)}: apt-get install {' '.join(PACKAGES)}"
    return ""


def _refused() -> str:
    """What a container without privileges may not do: namespaces, mounts, addresses and cgroups."""
    inside = "mount -t tmpfs none /mnt && ip link set lo up"
    tried = subprocess.run(["unshare", "-m", "-n", "sh", "-c", inside], capture_output=True, text=True)
    if tried.returncode:
        return (tried.stderr or tried.stdout).strip()
    writable = [path for path in ("/sys/fs/cgroup/memory", "/sys/fs/cgroup") if os.access(path, os.W_OK)]
    return "" if writable else "/sys/fs/cgroup is read-only"


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
