"""`python -m modelops.adapters.programs.in_pod MODULE INPUT FOLDER`: runs a program in the Pod of its Job.

It starts the program in its work folder as the operator starts a local one, and starts it again after a crash. Only
this process writes the Pod's log: one line of JSON, marked by `MARK`, for each report of progress, and one for the
result. A Pod that replaces a killed one finds the folder on its volume, so that the program resumes there. Where the
folder has the result already, it is only reported again.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from modelops.adapters.programs.folder import ProgramFolder, failure_result
from modelops.adapters.programs.process import LOG, PID, is_running, spawn, terminate
from modelops.ports import Json, Refused
from modelops.workdir import DISK_FULL, is_disk_full

MARK: Final = "@@modelops-program@@ "
"""Begins each line that is a report; no other line begins with it."""
SECRET_VARIABLES: Final = "MODELOPS_PROGRAM_SECRETS"
"""Variable with the names of those that have secret values, separated by commas."""
SUCCEEDED: Final = 0
ENDED_WITH_FAILURE: Final = 3
"""Exit code of a program whose result is a failure. The Job then fails at once and makes no further Pod."""
TERMINATED: Final = 143
MAX_RESULT_BYTES: Final = 512 * 1024
"""The operator reads at most 1 MiB of a log."""
_PAUSE_SECONDS: Final = 1.0
_REPORT_SECONDS: Final = 5.0


class _Terminated(BaseException):
    """The Pod is asked to end."""


def run_in_pod(module: str, given: Json, folder: ProgramFolder, environment: Mapping[str, str]) -> int:
    """Runs the program until it has a result, reports that, and returns the exit code of the Pod.

    `environment` has the variable `SECRET_VARIABLES`. The values that it names are given to the program without the
    white space around them, as the operator reads a Secret, and are removed from what is logged of a crash.
    """
    names = [name for name in environment.get(SECRET_VARIABLES, "").split(",") if name in environment]
    secrets = {name: environment[name].strip() for name in names}
    own = {"PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", module, str(folder.path)]
    try:
        folder.write_input(given)
        _discard_transient_result(folder)
        result = _run(
            folder, command, {**environment, **own, **secrets}, tuple(filter(None, secrets.values()))
        )
    except OSError as error:
        if not is_disk_full(error):
            raise
        result = {"ok": False, "reason": DISK_FULL, "message": "", "transient": True}
    except Refused as error:
        result = failure_result("ProgramFailed", str(error))
    except _Terminated:
        # The kubelet ends this Pod; that is no crash of the program.
        terminate(folder.path)
        (folder.path / PID).unlink(missing_ok=True)
        return TERMINATED
    _report({"progress": folder.progress, "result": _reportable(result, folder)})
    return SUCCEEDED if result["ok"] else ENDED_WITH_FAILURE


def parse_report(log: str) -> Json | None:
    """The newest report in the end of a Pod's log; None where it has none."""
    for line in reversed(log.splitlines()):
        if line.startswith(MARK):
            try:
                found = json.loads(line.removeprefix(MARK))
            except ValueError:
                continue
            return found if isinstance(found, dict) else None
    return None


def _discard_transient_result(folder: ProgramFolder) -> None:
    """A Pod is started after a transient result only to try again."""
    result = folder.result
    if result is not None and not result["ok"] and result.get("transient"):
        folder.discard_result()


def _run(
    folder: ProgramFolder, command: Sequence[str], environment: Mapping[str, str], secrets: Sequence[str]
) -> Json:
    while True:
        if not is_running(folder.path) and folder.result is None:
            folder.record_crash(*secrets)
        result = folder.result
        if result is not None:
            return result
        process = spawn(folder.path, command, environment)
        _wait(process, folder)
        folder.truncate_log()
        if folder.result is None:
            with (folder.path / LOG).open("a") as log:
                log.write(f"the program ended without a result, with exit code {process.returncode}\n")
            for line in folder.log_tail(*secrets).splitlines():
                print(f"program: {line}", flush=True)  # noqa: T201 - the Pod's log, for people
            time.sleep(_PAUSE_SECONDS)


def _wait(process: subprocess.Popen[bytes], folder: ProgramFolder) -> None:
    """Waits until the process has ended, and meanwhile reports its progress."""
    reported, at = None, 0.0
    while True:
        try:
            process.wait(_PAUSE_SECONDS)
            return
        except subprocess.TimeoutExpired:
            progress = folder.progress
        if progress != reported and time.monotonic() - at >= _REPORT_SECONDS:
            reported, at = progress, time.monotonic()
            _report({"progress": progress, "result": None})


def _reportable(result: Json, folder: ProgramFolder) -> Json:
    if result.get("reason") == DISK_FULL:
        return {
            **result,
            "message": f"no space is left on the volume of the program's Pod ({folder.path}), or in its /tmp: enlarge "
            "its PersistentVolumeClaim, or set a larger programs.job.volume.size in the chart for objects that are "
            "created from then on; the program is tried again",
        }
    if len(json.dumps(result)) > MAX_RESULT_BYTES:
        return failure_result(
            "ProgramFailed", f"the result has more than {MAX_RESULT_BYTES} bytes; it is in {folder.path}"
        )
    return result


def _report(content: Json) -> None:
    print(MARK + json.dumps({"v": 1, **content}, sort_keys=True), flush=True)  # noqa: T201 - the Pod's log


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise _Terminated


def main(arguments: Sequence[str]) -> int:
    """The Pod's process; it is the first one there, which ignores SIGTERM unless it handles it."""
    module, given, folder = arguments
    signal.signal(signal.SIGTERM, _terminate)
    return run_in_pod(module, json.loads(Path(given).read_text()), ProgramFolder(Path(folder)), os.environ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
