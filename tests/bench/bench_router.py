"""The row router: the time of a pick compared with its minimum, and the time that the import adds to Python."""

from __future__ import annotations

import asyncio
import hashlib
import resource
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable
from pathlib import Path

from tests.bench.environment import Environment
from tests.bench.table import Row

from modelops.router import Router

PICK_LIMIT_US = 5.0
IMPORT_LIMIT_MS = 50.0
ROUNDS = 7
CALLS = 20_000
STARTS = 9

FILE = """\
agents:
  docs:
    model: org/base
    routing:
      generation: 1
      salt: 7c1d8f7e-6a0b-4f7e-9a52-0f2f6d4b8f11
      rollout: {uid: 7c1d8f7e-6a0b-4f7e-9a52-0f2f6d4b8f11, step: 1, state: Progressing}
      canary_until: 2099-01-01T00:00:00Z
      canary: {weight: 20, model: org/tuned, endpoint_url: "http://127.0.0.1:1/v1"}
"""


def best_us(call: Callable[[], object], calls: int = CALLS) -> float:
    """Processor time of one call in microseconds, the best of a few rounds."""
    return min(timeit.repeat(call, number=calls, repeat=ROUNDS, timer=time.thread_time)) / calls * 1e6


def pick_rows(router: Router) -> list[Row]:
    """Rows for a known session, a new session and no session, and for `observe`."""
    assigned = {"session-1": 17}
    new_keys = iter([f"session-{n}" for n in range(CALLS * ROUNDS)])
    route = router.pick("session-1")

    def peer() -> object:
        hashlib.sha256(b"salt\nsession-1").digest()
        return assigned["session-1"]

    def observe() -> None:
        router.observe(route, ok=True, latency_ms=120.0, tokens=50)

    bare = f"dict lookup + sha256: {best_us(peer):.2f} us"

    def pick_row(session: str, call: Callable[[], object]) -> Row:
        cost = best_us(call)
        return Row(
            name=f"router pick, {session}",
            measured=f"{cost:.2f} us",
            limit=f"< {PICK_LIMIT_US:.0f} us",
            peer=bare,
            limit_missed=cost >= PICK_LIMIT_US,
        )

    return [
        pick_row("known session", lambda: router.pick("session-1")),
        pick_row("new session", lambda: router.pick(next(new_keys))),
        pick_row("no key", lambda: router.pick(None)),
        Row(name="router observe", measured=f"{best_us(observe):.2f} us", peer=bare),
    ]


def start_ms(statement: str) -> float:
    """Processor time of a Python process that runs a statement, in milliseconds, the best of a few."""
    return min(_start_ms(statement) for _ in range(STARTS))


def _start_ms(statement: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", statement], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3


async def measure(env: Environment) -> list[Row]:
    """The rows of a pick and of the import; they do not use the environment."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "agents.yaml")
        file.write_text(FILE)
        with Router("docs", file=file, watch=None) as router:
            rows = await asyncio.to_thread(pick_rows, router)
    bare = await asyncio.to_thread(start_ms, "pass")
    imported = await asyncio.to_thread(start_ms, "import modelops.router") - bare
    last = Row(
        name="import modelops.router",
        measured=f"{imported:.1f} ms",
        limit=f"< {IMPORT_LIMIT_MS:.0f} ms beyond Python",
        peer=f"python -c pass: {bare:.1f} ms",
        limit_missed=imported >= IMPORT_LIMIT_MS,
    )
    return [*rows, last]
