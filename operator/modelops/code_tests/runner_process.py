"""One runner's process, as its parent sees it."""

from __future__ import annotations

import json
import select
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from modelops.code_tests.runner.answer import MB, Limits
from modelops.code_tests.shells import BARE, dropped_user

LIMITS: Final = Limits(
    processor_seconds=5,
    wall_seconds=10.0,
    memory=512 * MB,
    output=64 * 1024,
    file=4 * MB,
    files=64,
    disk=64 * MB,
)
"""Limits of one answer with its tests."""
_SPARE_SECONDS: Final = 20.0
"""Beyond an answer's own limit, before its runner counts as hung."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """The code of an answer and what tests it; `times` replaces limits of time."""

    code: str
    tests: str
    times: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the tests ran to their end and passed; if not, why. `processor_ms`: what that took of a processor."""

    ok: bool
    why: str
    processor_ms: float


class RunnerEnded(Exception):
    """The runner's process ended or hangs; the message is what it said."""


class Runner:
    """One runner's process."""

    def __init__(self, command: Sequence[str], *, archive: int) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=BARE,
            cwd="/",
            pass_fds=(archive,),
            start_new_session=True,
            bufsize=0,
            **dropped_user(),
        )

    def begin(self, scratch: str) -> dict[str, Any]:
        """What the runner says of itself at its start. Raises RunnerEnded."""
        try:
            return self._ask({"limits": asdict(LIMITS), "scratch": scratch}, seconds=_SPARE_SECONDS)
        except RunnerEnded:
            self.close()
            raise

    def run(self, job: Job) -> Verdict:
        """Raises RunnerEnded."""
        seconds = job.times.get("wall_seconds", LIMITS.wall_seconds) + _SPARE_SECONDS
        said = self._ask({"code": job.code, "tests": job.tests, **job.times}, seconds=seconds)
        return Verdict(ok=bool(said["ok"]), why=str(said["why"]), processor_ms=float(said["processor_ms"]))

    def close(self) -> None:
        """Ends the process; what it forked ends with it."""
        self._process.kill()
        self._process.communicate()

    def _ask(self, document: Mapping[str, Any], *, seconds: float) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RunnerEnded("it has no pipes")
        left = memoryview(json.dumps(document).encode() + b"\n")
        try:
            while left:
                left = left[stdin.write(left) :]
        except OSError:
            raise RunnerEnded(self._last_words()) from None
        line = b""
        while not line.endswith(b"\n"):
            if not select.select([stdout], [], [], seconds)[0]:
                raise RunnerEnded(f"it said nothing for {seconds:g} s")
            read = stdout.read(65536)
            if not read:
                raise RunnerEnded(self._last_words())
            line += read
        found: dict[str, Any] = json.loads(line)
        return found

    def _last_words(self) -> str:
        self._process.kill()
        said = self._process.communicate()[1].decode(errors="replace").strip()
        return said[-300:] or f"exit code {self._process.returncode}"
