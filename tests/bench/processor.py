"""Processor time of the parts, so that a slow machine can be told from slow code."""

from __future__ import annotations

import psutil
from tests.bench.stage import Stage

PARTS = ("operator", "API server", "etcd", "sandbox")


def processor_seconds(stage: Stage, operator: int) -> dict[str, float]:
    """Seconds of a core that each part has used so far; `operator` is its process id."""
    pids = {"operator": operator, "sandbox": stage.sandbox.pid}
    place = str(stage.cluster.directory)
    for process in psutil.process_iter(["pid", "cmdline"]):
        command = process.info["cmdline"] or [""]
        for part, program in (("API server", "kube-apiserver"), ("etcd", "etcd")):
            if command[0].endswith(program) and any(place in argument for argument in command):
                pids[part] = process.info["pid"]
    used = {part: psutil.Process(pid).cpu_times() for part, pid in pids.items()}
    return {part: used[part].user + used[part].system for part in PARTS if part in used}


def each(before: dict[str, float], after: dict[str, float], count: int) -> str:
    """`operator 21 ms, API server 30 ms, ...` for one of `count`."""
    return ", ".join(f"{part} {(after[part] - used) / count * 1000:.0f} ms" for part, used in before.items())
