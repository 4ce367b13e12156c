"""The runner: it forks a locked process for each answer, so that an answer costs no start of an interpreter.

Standard input has one line of JSON with the limits and the folder for scratch files, then one line for each answer:
`{"code", "tests", "processor_seconds"?, "wall_seconds"?}`. Standard output gets one line at the start and one for each
answer: `{"ok", "why", "processor_ms"}`. An answer writes into a pipe of its own, so it cannot write a verdict.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import platform
import secrets
import select
import signal
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

from modelops.code_tests.runner import landlock, seccomp
from modelops.code_tests.runner.answer import (
    LIBC,
    RULES,
    Limits,
    guard_process,
    limit_process,
    readable,
    run_locked,
    set_environment,
)

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
_MOST_DESCRIPTORS = 1 << 16


def main() -> None:
    """Answers lines until standard input ends."""
    if os.getuid() == 0:
        sys.exit("the runner of code tests must not be root")
    guard_process()
    setup = json.loads(sys.stdin.readline())
    limits, scratch = Limits(**setup["limits"]), setup["scratch"]
    limit_process(limits)
    abi = landlock.version(LIBC)
    _warm()
    _say({"landlock": abi, "uid": os.getuid(), "python": platform.python_version()})
    place = _Place(scratch, abi)
    for line in sys.stdin:
        job = json.loads(line)
        times = {name: job[name] for name in ("processor_seconds", "wall_seconds") if name in job}
        _say(_run(job["code"], job["tests"], replace(limits, **times), place))


def _warm() -> None:
    for name in WARM:
        with suppress(ImportError):
            __import__(name)
    seccomp.code(0, platform.machine())
    gc.collect()
    gc.freeze()


def _say(document: dict[str, Any]) -> None:
    os.write(1, json.dumps(document).encode() + b"\n")


class _Place:
    """The folder of an answer and the Landlock rules for it, which are made again only where it cannot be emptied."""

    def __init__(self, scratch: str, abi: int) -> None:
        self._scratch = scratch
        self._abi = abi
        self._moved = 0
        self._make()

    def _make(self) -> None:
        self.folder = tempfile.mkdtemp(dir=self._scratch)
        set_environment(self.folder)
        self.rules = landlock.ruleset(LIBC, read=readable(), write=self.folder, abi=self._abi)

    def empty(self) -> None:
        """Removes what an answer left."""
        with suppress(OSError):
            self._remove_entries()
        if os.listdir(self.folder):  # noqa: PTH208 - one call of the kernel
            os.close(self.rules)
            self._make()

    def _remove_entries(self) -> None:
        """Each folder is moved up before it is emptied, so that none is too deep. Links are not followed."""
        folders = [self.folder]
        while folders:
            here = folders.pop()
            with os.scandir(here) as found:
                entries = list(found)
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)  # noqa: PTH108
                    continue
                os.chmod(entry.path, 0o700)  # noqa: PTH101 - an answer may make folders that nobody can list
                self._moved += 1
                folders.append(f"{self.folder}-{self._moved}")
                os.rename(entry.path, folders[-1])  # noqa: PTH104
            if here != self.folder:
                os.rmdir(here)  # noqa: PTH106


def _run(code: str, tests: str, limits: Limits, place: _Place) -> dict[str, Any]:
    token = b"+" + secrets.token_bytes(16)
    output, output_end = os.pipe()
    verdict, verdict_end = os.pipe()
    started, used = time.monotonic(), time.process_time()
    pid = os.fork()
    if pid == 0:
        try:
            _become_answer(output_end, verdict_end, place.rules)
            run_locked(code, tests, token, folder=place.folder, limits=limits)
        finally:
            os._exit(99)
    os.close(output_end)
    os.close(verdict_end)
    stopped, said = _watch(output, verdict, limits, until=started + limits.wall_seconds, folder=place.folder)
    os.kill(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    os.close(output)
    os.close(verdict)
    place.empty()
    ok = not stopped and said == token
    return {
        "ok": ok,
        "why": "" if ok else stopped or _why(said, status),
        "processor_ms": round((usage.ru_utime + usage.ru_stime + time.process_time() - used) * 1000, 2),
    }


def _become_answer(output: int, verdict: int, rules: int) -> None:
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    # Higher numbers first, so that none of these is overwritten before it is copied.
    sources = [fcntl.fcntl(one, fcntl.F_DUPFD, RULES + 1) for one in (null, output, output, verdict, rules)]
    for target, source in enumerate(sources):
        os.dup2(source, target)
    os.closerange(RULES + 1, _MOST_DESCRIPTORS)


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
            with suppress(RecursionError):  # so deep that it cannot be walked, and cannot be large
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
