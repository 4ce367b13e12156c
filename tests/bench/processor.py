"""Processor time of the parts, so that a slow machine can be told from slow code."""

from __future__ import annotations

import time

import psutil
from tests.bench.stage import Stage

from modelops.localcluster import LocalCluster

PARTS = ("operator", "API server", "etcd", "sandbox")
IDLE_SHARE = 0.1
_LONGEST_SECONDS = 40.0


def processor_seconds(stage: Stage, operator: int) -> dict[str, float]:
    """Seconds of a core that each part has used so far; `operator` is its process id."""
    pids = {"operator": operator, "sandbox": stage.sandbox.pid, **server_pids(stage.cluster)}
    return {part: _used(pids[part]) for part in PARTS if part in pids}


def server_pids(cluster: LocalCluster) -> dict[str, int]:
    """The control plane's processes; none where it is somebody else's."""
    found = {}
    for process in psutil.process_iter(["pid", "cmdline"]):
        command = process.info["cmdline"] or [""]
        for part, program in (("API server", "kube-apiserver"), ("etcd", "etcd")):
            if command[0].endswith(program) and any(str(cluster.directory) in word for word in command):
                found[part] = process.info["pid"]
    return found


def wait_until_idle(cluster: LocalCluster) -> None:
    """Waits, 40 s at most: a fresh API server is busy with itself for a while (OpenAPI, default roles)."""
    pid = server_pids(cluster).get("API server")
    deadline = time.monotonic() + _LONGEST_SECONDS
    while pid is not None and time.monotonic() < deadline:
        before = _used(pid)
        time.sleep(1.0)
        if _used(pid) - before < IDLE_SHARE:
            return


def _used(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def each(before: dict[str, float], after: dict[str, float], count: int) -> str:
    """`operator 21 ms, API server 30 ms, ...` for one of `count`."""
    return ", ".join(f"{part} {(after[part] - used) / count * 1000:.0f} ms" for part, used in before.items())
