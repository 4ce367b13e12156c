"""The runner: it forks a locked process for each answer, so that an answer costs no start of an interpreter.

Standard input has one line of JSON with the limits and the folder for scratch files, then one line for each answer:
`{"code", "tests", "processor_seconds"?, "wall_seconds"?}`. Standard output gets one line at the start and one for each
answer: `{"ok", "why", "ms"}`. An answer writes into a pipe of its own, so it cannot write a verdict.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import secrets
import select
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

from modelops.code_tests.runner import landlock, seccomp
from modelops.code_tests.runner.answer import LIBC, VERDICT, Limits, guard_process, readable, run_locked

WARM = (
    *(
        "bisect",
        "collections",
        "copy",
        "datetime",
        "decimal",
        "fractions",
        "functools",
        "hashlib",
        "heapq",
        "itertools",
    ),
    *("math", "operator", "queue", "random", "re", "statistics", "string", "traceback", "typing"),
)
"""Modules that answers import most; they are imported once for all of them."""
_LOOK_SECONDS = 0.1


def main() -> None:
    """Answers lines until standard input ends."""
    if os.getuid() == 0:
        sys.exit("the runner of code tests must not be root")
    guard_process()
    setup = json.loads(sys.stdin.readline())
    limits, scratch = Limits(**setup["limits"]), setup["scratch"]
    abi = landlock.version(LIBC)
    _warm()
    _say({"landlock": abi, "uid": os.getuid(), "python": platform.python_version()})
    for line in sys.stdin:
        job = json.loads(line)
        times = {name: job[name] for name in ("processor_seconds", "wall_seconds") if name in job}
        _say(_run(job["code"], job["tests"], replace(limits, **times), scratch=scratch, abi=abi))


def _warm() -> None:
    for name in WARM:
        with suppress(ImportError):
            __import__(name)
    readable()
    seccomp.code(0, platform.machine())
    gc.collect()
    gc.freeze()


def _say(document: dict[str, Any]) -> None:
    os.write(1, json.dumps(document).encode() + b"\n")


def _run(code: str, tests: str, limits: Limits, *, scratch: str, abi: int) -> dict[str, Any]:
    token = b"+" + secrets.token_bytes(16)
    folder = tempfile.mkdtemp(dir=scratch)
    output, output_end = os.pipe()
    verdict, verdict_end = os.pipe()
    started = time.monotonic()
    pid = os.fork()
    if pid == 0:
        try:
            _become_answer(output_end, verdict_end)
            run_locked(code, tests, token, folder=folder, limits=limits, abi=abi)
        finally:
            os._exit(99)
    os.close(output_end)
    os.close(verdict_end)
    stopped, said = _watch(output, verdict, limits, until=started + limits.wall_seconds, folder=folder)
    os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    os.close(output)
    os.close(verdict)
    shutil.rmtree(folder, ignore_errors=True)
    ok = not stopped and said == token
    return {
        "ok": ok,
        "why": "" if ok else stopped or _why(said, status),
        "ms": round((time.monotonic() - started) * 1000, 2),
    }


def _become_answer(output: int, verdict: int) -> None:
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for source, target in ((null, 0), (output, 1), (output, 2), (verdict, VERDICT)):
        os.dup2(source, target)
    os.closerange(VERDICT + 1, min(os.sysconf("SC_OPEN_MAX"), 65536))


def _watch(output: int, verdict: int, limits: Limits, *, until: float, folder: str) -> tuple[str, bytes]:
    """Reads until the process ends or reaches a limit; returns that limit's name, and the verdict."""
    written, said, opened = 0, b"", {output, verdict}
    looked = time.monotonic()
    while opened:
        left = until - time.monotonic()
        if left <= 0:
            return "timeout", said
        for ready in select.select(list(opened), [], [], min(left, _LOOK_SECONDS))[0]:
            data = os.read(ready, 65536)
            if not data:
                opened.discard(ready)
            elif ready == verdict:
                said = (said + data)[:512]
            else:
                written += len(data)
                if written > limits.output:
                    return "output", said
        if time.monotonic() > looked + _LOOK_SECONDS:
            looked = time.monotonic()
            if _size(folder) > limits.disk:
                return "disk", said
    return "", said


def _size(folder: str) -> int:
    """Bytes that the files below the folder take on the disk."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(path, name)).st_blocks * 512  # noqa: PTH118 - the answer's own names
    return total


def _why(said: bytes, status: int) -> str:
    if said[:1] == b"!":
        return said[1:].decode("utf-8", "replace")
    if said[:1] == b"?":
        return f"not locked: {said[1:].decode('utf-8', 'replace')}"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return "processor time" if number == signal.SIGXCPU else f"ended early (signal {number})"
    return f"ended early (exit {os.WEXITSTATUS(status)})"
