"""The row training: our trainer and bare TRL, with the same settings and rows, in turns in one process."""

from __future__ import annotations

import asyncio
import json
import os
from asyncio.subprocess import PIPE
from pathlib import Path

from tests.bench.environment import Environment
from tests.bench.table import Row
from tests.contract.language_models import (
    ENVIRONMENT,
    HELD_OUT,
    NAMES,
    chat,
    lines,
    make_base_model,
    unpack_payload,
)

from modelops.trainenv.environment import MAKE, find_python

LIMIT = 0.95
ROUNDS = 4
PROGRAM = Path(__file__).with_name("trl_beside_bare.py")


async def measure(env: Environment) -> list[Row]:
    """Our trainer's rate divided by bare TRL's: examples per second of processor time, the median of the rounds."""
    python = find_python()
    if python is None:
        return [Row(name="trl.py beside bare TRL", measured=f"not measured: run {MAKE}", limit_missed=True)]
    folder = env.folder / "training"
    await asyncio.to_thread(_prepare, folder, python)
    process = await asyncio.create_subprocess_exec(
        *(str(python), str(PROGRAM), str(ROUNDS)),
        cwd=folder,
        env={**os.environ, **ENVIRONMENT, "PYTHONPATH": str(folder)},
        stdout=PIPE,
        stderr=PIPE,
    )
    out, errors = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{PROGRAM.name} failed: {errors.decode()[-2000:]}")
    found = json.loads(out.splitlines()[-1])
    ratio = found["ours"] / found["bare"]
    return [
        Row(
            name="trl.py on the tiny model",
            measured=f"{ratio:.2f} of bare TRL",
            limit=f">= {LIMIT:.2f}",
            peer=f"bare TRL: {found['bare']:.1f} examples/s",
            limit_missed=ratio < LIMIT,
            notes=(
                f"rows to trained adapter, median of {ROUNDS} rounds in turns, by processor time: "
                f"{found['ours']:.1f} examples/s, by the clock {found['ours_clock']:.1f} beside "
                f"{found['bare_clock']:.1f}; {found['steps']} steps, PyTorch {found['torch']}, one thread",
            ),
        )
    ]


def _prepare(folder: Path, python: Path) -> None:
    """Unpacks the payload, and creates a base model and rows."""
    folder.mkdir(parents=True)
    unpack_payload(folder)
    make_base_model(python, folder / "base")
    (folder / "train.jsonl").write_bytes(lines(map(chat, NAMES[HELD_OUT:])))
    (folder / "test.jsonl").write_bytes(lines(map(chat, NAMES[:HELD_OUT])))
