"""Runs a command that cannot outlive the sandbox: `die_with_parent.py PARENT-PID COMMAND...`.

A program of its own, because code between fork and exec of a threaded process is not safe in Python.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""prctl(2), Linux."""


def main() -> None:
    """Asks the kernel for SIGKILL at the parent's end, then becomes the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit("the sandbox is gone")
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"exec: {command[0]}: {error.strerror}\n")
        raise SystemExit(127) from None


main()
