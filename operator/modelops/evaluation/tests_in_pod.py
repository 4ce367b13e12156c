"""`python -m modelops.evaluation.tests_in_pod <folder>`: runs code with its tests in a Pod of their own.

The Pod has no token and no network. Its answers run behind the inner layer, whose checks come first. A journal keeps
each verdict, so that a Pod that replaces a killed one goes on; an answer that was running when two Pods ended counts as
the cause, and as a failure.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

from modelops.code_tests.in_pod import (
    JOBS_SETTING,
    MEMORY_SETTING,
    VERDICTS,
    read_jobs,
    verdicts_document,
)
from modelops.code_tests.runner_process import LIMITS, Job, Verdict
from modelops.code_tests.sandbox import MOST_RUNNERS, Sandbox, opened
from modelops.code_tests.shells import SETTING, SandboxRefused, Shell
from modelops.evaluation.line_journal import LineJournal
from modelops.workdir import ProgramFailure, WorkDir, run_program

MOST_ENDS: Final = 2
"""Pods that may end while an answer runs, before that answer counts as the cause."""
BATCH: Final = 200
"""Answers that are in memory at the same time."""
_BASE_MEMORY: Final = 320 << 20
"""Of the container: this process, the runners, and the 64 MiB of /tmp."""
_MEMORY_EACH: Final = LIMITS.memory * 5 // 4
_CONNECT_SECONDS: Final = 1.0


def run_tests(work: WorkDir) -> dict[str, Any]:
    """Run the jobs that the evaluation has left; returns `result.json`. Raises ProgramFailure CodeTestsRefused."""
    given = work.input()
    journal = _Journal(work.folder / "verdicts.jsonl")
    total = int(given["jobs"])
    try:
        jobs = enumerate(read_jobs(Path(os.environ[JOBS_SETTING]), digest=str(given["digest"])))
        with journal, opened({SETTING: Shell.INNER.value}, most_runners=runners(os.environ)) as sandbox:
            facts = {
                **sandbox.facts,
                "shell": Shell.POD.value,
                "network": "open" if _reaches(os.environ) else "closed",
            }
            while batch := list(islice(jobs, BATCH)):
                _run(sandbox, batch, journal)
                work.progress("running tests", done=len(journal.verdicts), total=total)
    except SandboxRefused as refused:
        raise ProgramFailure(
            "CodeTestsRefused", f"spec.evaluation.scorer tests cannot be used here: {refused}"
        ) from refused
    work.write(VERDICTS, verdicts_document(facts, [journal.verdicts[number] for number in range(total)]))
    return {"tested": total}


def runners(environ: Mapping[str, str]) -> int:
    """How many answers fit into the container's memory at the same time, if each takes all that it may."""
    limit = int(environ.get(MEMORY_SETTING) or 0)
    return max(1, min(MOST_RUNNERS, (limit - _BASE_MEMORY) // _MEMORY_EACH))


class _Journal:
    """The verdicts by the number of their job, in memory and on disk, and which jobs have begun."""

    def __init__(self, path: Path) -> None:
        self.verdicts: dict[int, Verdict] = {}
        self._begun: Counter[int] = Counter()
        self._file = LineJournal(path, lambda line, _: self._keep(line))
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._file.__enter__()
        for number, ends in self._begun.items():
            if ends >= MOST_ENDS and number not in self.verdicts:
                self.add(number, Verdict(ok=False, why="it ended its Pod", processor_ms=0.0))

    def __exit__(self, *error: Any) -> None:
        self._file.__exit__(*error)

    def add(self, number: int, verdict: Verdict | None) -> None:
        """That a job begins, or how it ended."""
        line: dict[str, Any] = {"job": number}
        if verdict is not None:
            line |= {"ok": verdict.ok, "why": verdict.why, "ms": verdict.processor_ms}
        with self._lock:
            self._keep(line)
            self._file.write(line)

    def _keep(self, line: dict[str, Any]) -> None:
        if "ok" in line:
            self.verdicts[line["job"]] = Verdict(ok=line["ok"], why=line["why"], processor_ms=line["ms"])
        else:
            self._begun[line["job"]] += 1


def _run(sandbox: Sandbox, batch: Iterable[tuple[int, Job]], journal: _Journal) -> None:
    """The jobs of the batch that have no verdict yet."""
    waiting = [(number, job) for number, job in batch if number not in journal.verdicts]
    numbers = [number for number, _ in waiting]

    def heard(at: int, verdict: Verdict | None) -> None:
        journal.add(numbers[at], verdict)

    sandbox.run([job for _, job in waiting], heard=heard)


def _reaches(environ: Mapping[str, str]) -> bool:
    """Whether this process, which no lock of an answer holds, can connect to the API server of the cluster."""
    address = environ.get("KUBERNETES_SERVICE_HOST", ""), int(environ.get("KUBERNETES_SERVICE_PORT") or 0)
    if not all(address):
        return False
    try:
        with socket.create_connection(address, _CONNECT_SECONDS):
            return True
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(run_program(run_tests, Path(sys.argv[1])))
