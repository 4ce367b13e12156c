"""Runs a command that ends when its parent process ends: `die_with_parent.py PARENT-PID COMMAND...`.

It is a separate program, because in a process with threads Python code between fork and exec is not safe.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""linux/prctl.h."""


def main() -> None:
    """Ask the kernel to send SIGKILL when the parent ends; then execute the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit("the parent process has already ended")
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"exec: {command[0]}: {error.strerror}\n")
        raise SystemExit(127) from None


main()
