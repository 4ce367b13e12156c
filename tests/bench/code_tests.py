"""The row codetests: answers with their tests in the sandbox, beside the same runner without locks and namespaces."""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from tests.bench.environment import Environment
from tests.bench.table import Row

from modelops.code_tests import sandbox as sandboxes
from modelops.code_tests.examples import CodeExample
from modelops.code_tests.runner_process import Job
from modelops.code_tests.sandbox import Sandbox, opened
from modelops.code_tests.shells import NOBODY, SandboxRefused, Shell, find_interpreter

ANSWERS = 150
ROUNDS = 9
MOST_SECONDS = 30.0
LEAST_RATE = 0.85
UNLOCKED = """

def lock(folder, limits):
    os.chdir(folder)
"""


async def measure(env: Environment) -> list[Row]:
    """The whole scoring of 150 answers, and the rate beside that without a sandbox, in turns."""
    try:
        return await asyncio.to_thread(_measure)
    except SandboxRefused as refused:
        return [Row(name="code tests", measured=f"not measured: {refused}", limit_missed=True)]


def _measure() -> list[Row]:
    started = time.perf_counter()
    jobs = [_job(number) for number in range(ANSWERS)]
    with opened(os.environ) as sandbox:
        checked = time.perf_counter()
        _processor_ms(sandbox, jobs)
        whole = time.perf_counter() - started
        with _without_sandbox() as bare:
            rounds = [(_processor_ms(bare, jobs), _processor_ms(sandbox, jobs)) for _ in range(ROUNDS)]
        facts = sandbox.facts
    unlocked, locked = (statistics.median(times) for times in zip(*rounds, strict=True))
    ratio = unlocked / locked
    return [
        Row(
            name=f"{ANSWERS} answers with their tests, checks of the sandbox included",
            measured=f"{whole:.1f} s",
            limit=f"< {MOST_SECONDS:.0f} s",
            limit_missed=whole >= MOST_SECONDS,
            notes=(
                f"{facts['shell']}, Landlock {facts['landlock']}, Python {facts['python']}; the {facts['checks']} checks "
                f"took {checked - started:.1f} s",
            ),
        ),
        Row(
            name="rate beside that without a sandbox",
            measured=f"{ratio:.2f}",
            limit=f">= {LEAST_RATE:.2f}",
            peer=f"the same runner, unlocked: {unlocked:.1f} ms an answer",
            limit_missed=ratio < LEAST_RATE,
            notes=(
                f"{locked:.1f} ms an answer, of processor time, since answers compute; medians of {ROUNDS} rounds in turns",
            ),
        ),
    ]


def _processor_ms(sandbox: Sandbox, jobs: list[Job]) -> float:
    """The mean processor time of an answer. Raises RuntimeError where one fails, which then measures nothing."""
    verdicts = sandbox.run(jobs)
    failed = [verdict.why for verdict in verdicts if not verdict.ok]
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(jobs)} right answers failed, the first with {failed[0]}")
    return statistics.fmean(verdict.processor_ms for verdict in verdicts)


def _job(number: int) -> Job:
    """A right answer in HumanEval's form. Its tests compute for about as long as HumanEval's do."""
    task = f"def primes_{number}(n):\n    '''The primes below n.'''\n"
    body = "    return [k for k in range(2, n) if all(k % d for d in range(2, int(k ** 0.5) + 1))]\n"
    tests = (
        "def check(candidate):\n    assert candidate(10) == [2, 3, 5, 7]\n"
        f"    assert len(candidate({2000 + number})) == len(set(candidate({2000 + number})))\n"
    )
    example = CodeExample.of({"prompt": task}, {"tests": tests}, reference=body)
    return Job(code=example.program(f"```python\n{task}{body}```"), tests=example.tests)


@contextmanager
def _without_sandbox() -> Iterator[Sandbox]:
    """The same runner whose processes are not locked, without bubblewrap. It runs nothing but our own answers."""
    folder = Path(tempfile.mkdtemp(prefix="modelops-bench-code-"))
    whole = sandboxes._archive
    try:
        if os.getuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        sandboxes._archive = lambda: _unlocked(whole())
        yield Sandbox(Shell.INNER, find_interpreter(), "", folder)
    finally:
        sandboxes._archive = whole
        shutil.rmtree(folder, ignore_errors=True)


def _unlocked(archive: bytes) -> bytes:
    changed = BytesIO()
    with zipfile.ZipFile(BytesIO(archive)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            added = UNLOCKED.encode() if name.endswith("/runner/answer.py") else b""
            new.writestr(name, old.read(name) + added)
    return changed.getvalue()
