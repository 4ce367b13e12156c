"""What a node changes on this machine outside its own folder, and how it is put back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MACHINE = "10.89.0.1"
"""The machine's address for Pods, on `lo` as long as the node runs."""
POD_GATEWAY = "10.88.0.1"

_KERNEL = (  # kubelet and kube-proxy set these
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/route_localnet",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_tcp_be_liberal",
    "net/netfilter/nf_conntrack_tcp_timeout_established",
    "net/netfilter/nf_conntrack_tcp_timeout_close_wait",
)
_FOLDERS = ("/var/lib/cni", "/var/log/containers", "/var/log/pods", "/run/netns", "/var/lib/kubelet")
_CGROUPS = Path("/sys/fs/cgroup")


@contextmanager
def put_back_afterwards(folder: Path) -> Iterator[None]:
    """Remember what is as it is, and restore it at the end. `folder`: the node's own, whose mounts are removed."""
    _end_earlier(folder)
    kernel = {name: _read(name) for name in _KERNEL}
    entries = {name: set(_entries(Path(name))) for name in _FOLDERS}
    existed = {name for name in _FOLDERS if Path(name).exists()}
    cgroups, tables = set(_cgroups()), set(_tables())
    subprocess.run(["ip", "address", "replace", f"{MACHINE}/32", "dev", "lo"], check=True)
    try:
        yield
    finally:
        subprocess.run(["ip", "address", "del", f"{MACHINE}/32", "dev", "lo"], check=False)
        end_containers(folder)
        _remove_pod_links()
        _unmount(folder)
        for name in _FOLDERS:
            for entry in set(_entries(Path(name))) - entries[name]:
                subprocess.run(["umount", "-l", str(entry)], check=False, stderr=subprocess.DEVNULL)
                _remove(entry)
            if name not in existed:
                with suppress(OSError):
                    Path(name).rmdir()
        for table in set(_tables()) - tables:
            subprocess.run(["nft", "delete", "table", *table.split()], check=False)
        for cgroup in sorted(set(_cgroups()) - cgroups, reverse=True):
            with suppress(OSError):
                cgroup.rmdir()
        for name, value in kernel.items():
            if value is not None and _read(name) != value:
                (Path("/proc/sys") / name).write_text(value)


def _end_earlier(folder: Path) -> None:
    """Containers, mounts, folders and Pod networks of a run that was killed. Two nodes never run at once (`needs`)."""
    for left in folder.parent.glob("modelops-node-*"):
        if left != folder:
            end_containers(left)
            _unmount(left)
            shutil.rmtree(left, ignore_errors=True)
    _remove_pod_links()


def _remove_pod_links() -> None:
    """Remove the machine's ends of the Pods' networks, which the plugin ptp makes with the gateway's address.

    The route of one that stays would take the packets of a new Pod with the same address.
    """
    shown = subprocess.run(["ip", "-json", "address"], capture_output=True, text=True, check=True)
    for link in json.loads(shown.stdout):
        is_ours = any(
            (one.get("local"), one.get("prefixlen")) == (POD_GATEWAY, 32) for one in link["addr_info"]
        )
        if is_ours and link["ifname"].startswith("veth"):
            subprocess.run(["ip", "link", "del", link["ifname"]], check=False)


def end_containers(folder: Path) -> None:
    """Kill every container of the containerd in `folder`, with its shim."""
    deadline = time.monotonic() + 20
    while shims := [pid for pid, words in _processes() if _is_shim(words, folder)]:
        for pid in [child for shim in shims for child in _descendants(shim)] + shims:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise AssertionError(f"shims of {folder} do not end: {shims}")
        time.sleep(0.1)


def _is_shim(words: list[str], folder: Path) -> bool:
    return "containerd-shim" in words[0] and any(word.startswith(str(folder)) for word in words)


def _processes() -> Iterator[tuple[int, list[str]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if words[0]:
                    yield int(entry.name), words


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in task.read_text().split():
                found += [int(child), *_descendants(int(child))]
    return found


def _unmount(folder: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in reversed(mounts):
        if mount.startswith(f"{folder}/"):
            subprocess.run(["umount", "-l", mount], check=False)


def _read(name: str) -> str | None:
    with suppress(OSError):
        return (Path("/proc/sys") / name).read_text()
    return None


def _entries(folder: Path) -> list[Path]:
    with suppress(OSError):
        return list(folder.iterdir())
    return []


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        entry.unlink(missing_ok=True)


def _cgroups() -> Iterator[Path]:
    for folder, _, _ in os.walk(_CGROUPS):
        yield Path(folder)


def _tables() -> list[str]:
    shown = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True)
    return [line.removeprefix("table ") for line in shown.stdout.splitlines()]
