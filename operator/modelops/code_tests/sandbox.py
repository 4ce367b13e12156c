"""Runs answers with their tests in the sandbox, after it has shown that it holds."""

from __future__ import annotations

import io
import os
import queue
import shutil
import socket
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from modelops.code_tests.checks import Check, holds, sandbox_checks
from modelops.code_tests.runner_process import LIMITS, Job, Runner, RunnerEnded, Verdict
from modelops.code_tests.shells import (
    NOBODY,
    SETTING,
    Interpreter,
    SandboxRefused,
    Shell,
    bubblewrap_command,
    chosen_shell,
    find_bubblewrap,
    find_interpreter,
    inner_command,
    require_user_namespaces,
)

_SHORT: Final = {"processor_seconds": 1, "wall_seconds": 1.5}
"""For the checks that use up their time."""
MOST_RUNNERS: Final = 4
Heard = Callable[[int, Verdict | None], None]
_MOST_ENDS: Final = 3
"""Runners that may end one after the other before the sandbox counts as broken."""

_NO_LANDLOCK: Final = (
    "the kernel has no Landlock (Linux 5.13 or newer, with landlock among its security modules), without which an "
    "answer could read and write files of others. Evaluate on a machine that has it"
)


class Sandbox:
    """Runs jobs by runners in the chosen shell. Made by `opened`, which has checked that it holds."""

    def __init__(
        self,
        shell: Shell,
        interpreter: Interpreter,
        bubblewrap: str,
        folder: Path,
        *,
        most_runners: int = MOST_RUNNERS,
    ) -> None:
        self.shell = shell
        self._most_runners = most_runners
        self.facts: dict[str, Any] = {"shell": shell.value}
        self._interpreter = interpreter
        self._bubblewrap = bubblewrap
        self._folder = folder
        self._archive = _archive()

    def run(self, jobs: Sequence[Job], *, heard: Heard | None = None) -> list[Verdict]:
        """The verdict of each job, in their order. Raises SandboxRefused where runners end again and again.

        `heard` gets the number of each job with None when it begins and with its verdict when it ends, by several
        threads.
        """
        waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(len(jobs)):
            waiting.put(number)
        verdicts: dict[int, Verdict] = {}
        errors: list[BaseException] = []
        threads = [
            threading.Thread(
                target=self._work, args=(jobs, waiting, verdicts, errors, heard), name=f"code-tests-{n}"
            )
            for n in range(min(len(os.sched_getaffinity(0)), self._most_runners, len(jobs)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return [verdicts[number] for number in range(len(jobs))]

    def _work(
        self,
        jobs: Sequence[Job],
        waiting: queue.SimpleQueue[int],
        verdicts: dict[int, Verdict],
        errors: list[BaseException],
        heard: Heard | None,
    ) -> None:
        """One runner's share. Its process belongs to this thread: bubblewrap ends with the thread that made it."""
        ends = 0
        runner: Runner | None = None
        try:
            while not errors:
                try:
                    number = waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    runner = runner or self._runner()
                    if heard is not None:
                        heard(number, None)
                    verdicts[number] = runner.run(jobs[number])
                    ends = 0
                except RunnerEnded as ended:
                    ends += 1
                    if runner is None or ends == _MOST_ENDS:
                        raise SandboxRefused(f"the runner of code tests ended: {ended}") from ended
                    runner.close()
                    runner = None
                    verdicts[number] = Verdict(ok=False, why="it ended the runner", processor_ms=0.0)
                if heard is not None:
                    heard(number, verdicts[number])
        except Exception as error:  # noqa: BLE001 - raised by the thread that waits for this one
            errors.append(error)
        finally:
            if runner is not None:
                runner.close()

    def _runner(self) -> Runner:
        """A runner that has said that it is ready. Raises RunnerEnded."""
        scratch = "/tmp"
        archive = os.memfd_create("modelops-code-tests", 0)
        try:
            os.write(archive, self._archive)
            os.lseek(archive, 0, os.SEEK_SET)
            if self.shell is Shell.BUBBLEWRAP:
                command = bubblewrap_command(
                    self._bubblewrap, self._interpreter, program_fd=archive, tmp_bytes=LIMITS.disk
                )
            else:
                command, scratch = (
                    inner_command(self._interpreter, f"/proc/self/fd/{archive}"),
                    str(self._folder),
                )
            runner = Runner(command, archive=archive)
        finally:
            os.close(archive)
        self.facts.update(runner.begin(scratch))
        if not self.facts["landlock"]:
            runner.close()
            raise SandboxRefused(_NO_LANDLOCK)
        return runner


@contextmanager
def opened(environ: Mapping[str, str], *, most_runners: int = MOST_RUNNERS) -> Iterator[Sandbox]:
    """A sandbox that has passed all of its checks; `facts` has what was found. Raises SandboxRefused."""
    shell = chosen_shell(environ)
    if shell is Shell.POD:
        raise SandboxRefused(f"{SETTING}={shell.value} has its sandbox in another Pod")
    interpreter = find_interpreter()
    bubblewrap = find_bubblewrap() if shell is Shell.BUBBLEWRAP else ""
    if bubblewrap:
        require_user_namespaces(bubblewrap)
    folder = Path(tempfile.mkdtemp(prefix="modelops-code-tests-"))
    try:
        if os.getuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        sandbox = Sandbox(shell, interpreter, bubblewrap, folder, most_runners=most_runners)
        _require_checks(sandbox)
        yield sandbox
    finally:
        with suppress(RecursionError):  # left by a runner that was ended
            shutil.rmtree(folder, ignore_errors=True)


def _require_checks(sandbox: Sandbox) -> None:
    """Raises SandboxRefused where a check does not hold."""
    handle, canary = tempfile.mkstemp(prefix="modelops-canary-")
    try:
        os.write(handle, b"canary")
        os.fchmod(handle, 0o666)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            checks = sandbox_checks(port=listener.getsockname()[1], outside=os.getpid(), canary=canary)
            verdicts = sandbox.run([_check_job(check) for check in checks])
    finally:
        os.close(handle)
        with suppress(OSError):
            Path(canary).unlink()
    broken = [
        f"{check.name} ({verdict.why or 'it was let'})"
        for check, verdict in zip(checks, verdicts, strict=True)
        if not holds(check, ok=verdict.ok, why=verdict.why)
    ]
    if broken:
        raise SandboxRefused(
            f"the sandbox for code tests ({sandbox.shell.value}) does not hold here, so no answer was run: "
            f"{len(broken)} of {len(checks)} checks failed, such as: an answer {broken[0]}"
        )
    sandbox.facts["checks"] = len(checks)


def _check_job(check: Check) -> Job:
    return Job(code=check.code, tests=check.tests, times=_SHORT if "timeout" in check.ends else {})


def _archive() -> bytes:
    """The runner's own modules as a program for `python archive`."""
    here = Path(__file__).parent / "runner"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for package in ("modelops", "modelops/code_tests"):
            archive.writestr(f"{package}/__init__.py", "")
        for module in sorted(here.glob("*.py")):
            archive.writestr(f"modelops/code_tests/runner/{module.name}", module.read_bytes())
        archive.writestr("__main__.py", "from modelops.code_tests.runner.zygote import main\n\nmain()\n")
    return content.getvalue()
