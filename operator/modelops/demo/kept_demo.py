"""KEEP=1 leaves the demo running: its processes are saved to a file, and `modelops demo stop` ends exactly those."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from modelops.adapters.programs.process import terminate as terminate_program
from modelops.demo.clusters import delete_kind_cluster, leave_given_cluster
from modelops.demo.environment import DemoEnvironment
from modelops.demo.folder import DemoFolder
from modelops.localcluster import ClusterError, LocalCluster
from modelops.sandbox import client as sandbox_client

_STOP_SECONDS = 10.0


def save_processes(environment: DemoEnvironment) -> None:
    """Save the ids and start times of the processes: the system may give an id to another process later."""
    running = [process for process in (environment.operator, *environment.agents) if process is not None]
    saved = [{"name": p.name, "pid": p.pid, "started": _start_time(p.pid)} for p in running]
    environment.folder.kept.write_text(json.dumps(saved, indent=1))


def stop_kept_demo(folder: DemoFolder, progress: Callable[[str], None]) -> bool:
    """Stop the demo that was left running in `folder`, and remove what it or a killed one has created in a cluster.

    Returns False if there is none.

    Raises:
        KubectlError, ClusterError: the cluster does not answer; this can be repeated.
    """
    if not folder.left:
        return False
    saved = json.loads(folder.kept.read_text()) if folder.kept.exists() else []
    running = [process for process in saved if _start_time(process["pid"]) == process["started"]]
    for process in running:
        progress(f"stopping {process['name']} (process {process['pid']})")
        with suppress(ProcessLookupError):
            os.kill(process["pid"], signal.SIGTERM)
    _wait_or_kill(running)
    programs = folder.operator / "programs"
    for program in programs.iterdir() if programs.is_dir() else ():
        terminate_program(program)
    progress("stopping the sandbox")
    sandbox_client.shut_down(folder.sandbox)
    if folder.created.exists():
        leave_given_cluster(folder, progress)
    elif folder.kind.exists():
        progress("deleting the kind cluster")
        delete_kind_cluster(folder)
    else:
        progress("stopping the control plane")
        _stop_cluster(folder.cluster)
    folder.kept.unlink(missing_ok=True)
    return True


def _stop_cluster(directory: Path) -> None:
    with suppress(ClusterError):  # it has already ended
        LocalCluster.attach(directory).stop()


def _wait_or_kill(processes: list[dict[str, object]]) -> None:
    deadline = time.monotonic() + _STOP_SECONDS
    for process in processes:
        pid = int(str(process["pid"]))
        while _start_time(pid) == process["started"]:
            if time.monotonic() > deadline:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                break
            time.sleep(0.05)


def _start_time(pid: int) -> str:
    """Return the start time of a process, as text from the system; empty if there is no such process."""
    if Path("/proc/self/stat").exists():
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return ""
        state, *fields = stat.rpartition(")")[2].split()
        return "" if state == "Z" else fields[18]  # starttime, proc(5)
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True)
    return done.stdout.strip()
