"""The process of one answer: it locks itself, runs the code and its tests, and writes the token."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import tempfile
import types
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from modelops.code_tests.runner import landlock, seccomp

LIBC = ctypes.CDLL(None, use_errno=True)
VERDICT, RULES = 3, 4
"""The file descriptors that the token is written to, and of the Landlock rules."""
MB = 1 << 20
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38


@dataclass(frozen=True)
class Limits:
    """Limits of one answer: seconds of processor time and by the clock, and bytes."""

    processor_seconds: int
    wall_seconds: float
    memory: int
    output: int
    file: int
    files: int
    disk: int


def readable() -> list[str]:
    """The folders of the standard library and of what it loads."""
    found = (
        f"{sys.base_prefix}/lib",
        f"{sys.base_prefix}/{sys.platlibdir}",
        "/usr/lib",
        "/usr/lib64",
        "/lib",
        "/lib64",
        "/usr/share/zoneinfo",
    )
    return sorted({os.path.realpath(path) for path in found})


def guard_process() -> None:
    """No process of the same user reads this one's memory or environment; it ends with its parent."""
    LIBC.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    LIBC.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)


def limit_process(limits: Limits) -> None:
    """What a runner and its answers have in common; the answers inherit it. Raises OSError, ValueError."""
    for what, value in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_FSIZE, limits.file),
        (resource.RLIMIT_NOFILE, limits.files),
        (resource.RLIMIT_STACK, 8 * MB),
        (resource.RLIMIT_CORE, 0),
    ):
        least = _at_most(what, value)
        resource.setrlimit(what, (least, least))
    LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def set_environment(folder: str) -> None:
    """The whole environment of an answer."""
    os.environ.clear()
    os.environ.update(HOME=folder, TMPDIR=folder, PATH="/usr/bin", LANG="C.UTF-8")
    tempfile.tempdir = folder


def lock(folder: str, limits: Limits) -> None:
    """Takes from this process what an answer must not have. Raises OSError, ValueError."""
    # A process that is not dumpable cannot write this file. The kernel ends an answer before its runner.
    LIBC.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123
        score.write("1000")
    guard_process()
    os.chdir(folder)
    # At the soft limit the process ends with SIGXCPU, which says why; at the hard one with SIGKILL.
    seconds = _at_most(resource.RLIMIT_CPU, limits.processor_seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, _at_most(resource.RLIMIT_CPU, seconds + 1)))
    landlock.apply(LIBC, RULES)
    seccomp.apply(LIBC, os.getpid())


def _at_most(what: int, value: int) -> int:
    hard = resource.getrlimit(what)[1]
    return value if hard == resource.RLIM_INFINITY else min(value, hard)


def run_locked(code: str, tests: str, token: bytes, *, folder: str, limits: Limits) -> NoReturn:
    """Ends this process. It has the answer's output at 1 and 2, the verdict's pipe at `VERDICT`, the rules at `RULES`.

    The token is `+` and random bytes; the first line of an error begins with `!`, a failure of the lock with `?`.
    """
    try:
        lock(folder, limits)
    except BaseException as error:  # noqa: BLE001 - nothing may run unlocked, whatever happened
        _end(b"?", error)
    sys.stdin = open(0)  # noqa: SIM115
    module = types.ModuleType("answer")
    sys.modules["answer"] = sys.modules["__main__"] = module
    try:
        exec(compile(code, "<answer>", "exec", dont_inherit=True), module.__dict__)
        module.__dict__["__name__"] = "__main__"
        exec(compile(tests, "<tests>", "exec", dont_inherit=True), module.__dict__)
        sys.stdout.flush()
        os.write(VERDICT, token)
    except BaseException as error:  # noqa: BLE001 - an answer may raise anything, SystemExit included
        _end(b"!", error)
    os._exit(0)


def _end(mark: bytes, error: BaseException) -> NoReturn:
    with suppress(BaseException):
        os.write(VERDICT, mark + f"{type(error).__name__}: {error}"[:300].encode("utf-8", "replace"))
    os._exit(0)
