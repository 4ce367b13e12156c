"""What a pick costs beside the least that it could cost, and what the import adds to a Python process."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable
from pathlib import Path

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
    """Microseconds a call, the best of a few rounds: what is slower was somebody else's."""
    return min(timeit.repeat(call, number=calls, repeat=ROUNDS)) / calls * 1e6


def pick_rows(router: Router) -> list[tuple[str, float, str]]:
    """Name, microseconds, peer or limit."""
    assigned = {"session-1": 17}
    new_keys = iter([f"session-{n}" for n in range(CALLS * ROUNDS)])
    route = router.pick("session-1")

    def peer() -> object:
        hashlib.sha256(b"salt\nsession-1").digest()
        return assigned["session-1"]

    def observe() -> None:
        router.observe(route, ok=True, latency_ms=120.0, tokens=50)

    bare = f"dict lookup + sha256: {best_us(peer):.2f} us"
    limit = f"{bare}; limit {PICK_LIMIT_US:.0f} us"
    return [
        ("router pick, known session", best_us(lambda: router.pick("session-1")), limit),
        ("router pick, new session", best_us(lambda: router.pick(next(new_keys))), limit),
        ("router pick, no key", best_us(lambda: router.pick(None)), limit),
        ("router observe", best_us(observe), bare),
    ]


def start_ms(statement: str) -> float:
    """Milliseconds that a Python process takes for a statement, the best of a few."""
    taken = []
    for _ in range(STARTS):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", statement], check=True)
        taken.append((time.perf_counter() - begun) * 1e3)
    return min(taken)


def main() -> int:
    """Prints the table; 1 where a limit is broken."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "agents.yaml")
        file.write_text(FILE)
        with Router("docs", file=file, watch=None) as router:
            rows = pick_rows(router)
    bare = start_ms("pass")
    imported = start_ms("import modelops.router") - bare
    for name, measured, beside in rows:
        print(f"{name:<34}{measured:>9.2f} us   {beside}")
    print(
        f"{'import modelops.router':<34}{imported:>9.1f} ms   python -c pass: {bare:.1f} ms; "
        f"limit {IMPORT_LIMIT_MS:.0f} ms"
    )
    slowest = max(measured for name, measured, _ in rows if name.startswith("router pick"))
    return int(slowest >= PICK_LIMIT_US or imported >= IMPORT_LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
