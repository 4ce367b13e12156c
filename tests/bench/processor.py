"""Processor time of each part, which distinguishes a slow machine from slow code."""

from __future__ import annotations

import time

import psutil
from tests.bench.environment import Environment

from modelops.localcluster import LocalCluster

PARTS = ("operator", "API server", "etcd", "sandbox")
IDLE_SHARE = 0.1
_MAX_WAIT_SECONDS = 40.0


def processor_seconds(env: Environment, operator: int) -> dict[str, float]:
    """Processor time in seconds that each part has used so far; `operator` is the operator's process id."""
    pids = {"operator": operator, "sandbox": env.sandbox.pid, **server_pids(env.cluster)}
    return {part: _processor_seconds_of(pids[part]) for part in PARTS if part in pids}


def server_pids(cluster: LocalCluster) -> dict[str, int]:
    """Process ids of the control plane's parts; empty for a cluster that this process did not start."""
    found = {}
    for process in psutil.process_iter(["pid", "cmdline"]):
        command = process.info["cmdline"] or [""]
        for part, program in (("API server", "kube-apiserver"), ("etcd", "etcd")):
            if command[0].endswith(program) and any(str(cluster.directory) in word for word in command):
                found[part] = process.info["pid"]
    return found


def wait_until_idle(cluster: LocalCluster) -> None:
    """Waits at most 40 s until a new API server has finished its own setup (OpenAPI, default roles)."""
    pid = server_pids(cluster).get("API server")
    deadline = time.monotonic() + _MAX_WAIT_SECONDS
    while pid is not None and time.monotonic() < deadline:
        before = _processor_seconds_of(pid)
        time.sleep(1.0)
        if _processor_seconds_of(pid) - before < IDLE_SHARE:
            return


def _processor_seconds_of(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def per_item(before: dict[str, float], after: dict[str, float], count: int) -> str:
    """Processor time of each part divided by `count`: `operator 21 ms, API server 30 ms, ...`."""
    return ", ".join(f"{part} {(after[part] - used) / count * 1000:.0f} ms" for part, used in before.items())
