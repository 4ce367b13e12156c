"""KEEP=1: what was left running is written down, and `modelops demo stop` ends exactly that."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from modelops.adapters.programs.process import terminate as end_program
from modelops.demo.folder import DemoFolder
from modelops.demo.stage import Stage
from modelops.localcluster import ClusterError, LocalCluster
from modelops.sandbox import client as sandbox_client

_PATIENCE_SECONDS = 10.0


def remember(stage: Stage) -> None:
    """Writes down what runs. A process id alone could later be somebody else's, so its start goes with it."""
    running = [child for child in (stage.operator, *stage.agents) if child is not None]
    kept = [{"name": child.name, "pid": child.pid, "started": _started(child.pid)} for child in running]
    stage.folder.kept.write_text(json.dumps(kept, indent=1))


def stop(folder: DemoFolder, tell: Callable[[str], None]) -> bool:
    """Ends what a demo left running; False where none did."""
    if not folder.kept.exists():
        return False
    kept = json.loads(folder.kept.read_text())
    mine = [process for process in kept if _started(process["pid"]) == process["started"]]
    for process in mine:
        tell(f"stopping {process['name']} (process {process['pid']})")
        with suppress(ProcessLookupError):
            os.kill(process["pid"], signal.SIGTERM)
    _wait(mine)
    programs = folder.operator / "programs"
    for program in programs.iterdir() if programs.is_dir() else ():
        end_program(program)
    tell("stopping the sandbox")
    sandbox_client.shut_down(folder.sandbox)
    tell("stopping the control plane")
    _stop_cluster(folder.cluster)
    folder.kept.unlink()
    return True


def _stop_cluster(directory: Path) -> None:
    with suppress(ClusterError):  # it has ended already
        LocalCluster.attach(directory).stop()


def _wait(processes: list[dict[str, object]]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    for process in processes:
        pid = int(str(process["pid"]))
        while _started(pid) == process["started"]:
            if time.monotonic() > deadline:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                break
            time.sleep(0.05)


def _started(pid: int) -> str:
    """When a process began, as the system says it; empty where there is none."""
    if Path("/proc/self/stat").exists():
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return ""
        state, *fields = stat.rpartition(")")[2].split()
        return "" if state == "Z" else fields[18]  # starttime, proc(5)
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True)
    return done.stdout.strip()
