"""The row datasets: a large dataset is validated, rendered and uploaded; peer: the `datasets` library's bare conversion."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.environment import ORG, Environment
from tests.bench.table import Row

from modelops.demo.stdlib_examples import read_examples
from modelops.sandbox.client import SandboxInfo

EXAMPLES, HELD_OUT, FUNCTIONS = 50_000, 500, 2_500
LEAST_RATIO, LIMIT_MB = 0.5, 500.0
TOKENIZED = f"{ORG}/bench-tokenizer"
SYSTEM = "You write the first paragraph of a Python docstring."
_ROOT = Path(__file__).parents[2]
_NAME = re.compile(r"\b[a-z_]{4,}\b")
_BARE = """
import sys
from datasets import load_dataset

def messages(example):
    return {"messages": [
        {"role": "system", "content": sys.argv[3]},
        {"role": "user", "content": example["inputs"]["task"]},
        {"role": "assistant", "content": example["outputs"]["docstring"]},
    ]}

rows = load_dataset("json", data_files=sys.argv[1], split="train")
rows = rows.map(messages, remove_columns=[name for name in rows.column_names if name != "id"])
rows.train_test_split(test_size=0.1, seed=7).push_to_hub(sys.argv[2], private=True)
"""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Cost of one process: wall time and processor time in seconds, largest resident memory in MB."""

    wall: float
    processor: float
    peak_mb: float


async def measure(env: Environment) -> list[Row]:
    """Both read the same file, in the form in which the dataset program stores its source, and upload to the same Hub."""
    folder = env.folder / "program"
    folder.mkdir()
    await asyncio.to_thread(_write_source, folder)
    await asyncio.to_thread(_add_tokenizer, env.sandbox)
    environment = _environment(env.sandbox, env.folder)
    bare = await _measure_cost(
        [sys.executable, "-c", _BARE, str(folder / "source.jsonl"), f"{ORG}/bench-bare", SYSTEM], environment
    )
    ours = await _measure_cost([sys.executable, "-m", "modelops.datasets", str(folder)], environment)
    result = json.loads((folder / "result.json").read_text())
    assert result["ok"], result
    assert result["report"]["examples"] == EXAMPLES, result
    ratio = bare.wall / ours.wall
    return [
        Row(
            name=f"{EXAMPLES:,} examples validated, rendered, uploaded",
            measured=f"{ours.wall:.1f} s, {EXAMPLES / ours.wall:,.0f}/s: {ratio:.2f} of the peer's rate",
            limit=f">= {LEAST_RATIO} of the peer's rate",
            peer=f"datasets, bare conversion: {bare.wall:.1f} s",
            limit_missed=ratio < LEAST_RATIO,
            notes=(
                f"processor time: {ours.processor:.1f} s, peer {bare.processor:.1f} s "
                f"({bare.processor / ours.processor:.2f}); tokens counted by "
                f"{result['report']['tokens']['counted_by']}",
                f"checked against {HELD_OUT} evaluation examples; {result['report']['groups']['count']:,} groups",
            ),
        ),
        Row(
            name=f"peak RSS of the dataset program, {EXAMPLES:,} examples",
            measured=f"{ours.peak_mb:.0f} MB",
            limit=f"< {LIMIT_MB:.0f} MB",
            peer=f"datasets, bare conversion: {bare.peak_mb:.0f} MB",
            limit_missed=ours.peak_mb >= LIMIT_MB,
        ),
    ]


def _write_source(folder: Path) -> None:
    """Writes the stored examples of both datasets, and the program's input."""
    functions = read_examples(limit=FUNCTIONS)
    copies = (EXAMPLES + HELD_OUT) // len(functions) + 1
    examples = (
        _example(function, copy, f"{copy:04x}{number:08x}")
        for copy in range(copies)
        for number, function in enumerate(functions)
    )
    for name, count in (("source", EXAMPLES), ("evaluation", HELD_OUT)):
        with (folder / f"{name}.jsonl").open("w") as file:
            for _ in range(count):
                file.write(json.dumps(next(examples)) + "\n")
        version = {"dataset_id": name, "name": name, "as_of": "2026-01-01T00:00:00+00:00", "count": count}
        (folder / f"{name}.json").write_text(json.dumps(version))
    prompt = {"system": SYSTEM, "user": "{{ inputs.task }}", "assistant": "{{ outputs.docstring }}"}
    given = {
        "v": 1,
        "run": "bench",
        "agent": "docs",
        "langsmith": {"dataset": "source"},
        "evaluation_dataset": "evaluation",
        "prompt": prompt,
        "method": "sft",
        "hub": {"repo": f"{ORG}/bench-ours"},
        "min_examples": 20,
        "split": {"test_fraction": 0.1, "seed": "bench"},
        "max_seq_length": 8192,
        "base_model": {"repo": TOKENIZED},
        "allow_sensitive": ["email"],
    }
    (folder / "input.json").write_text(json.dumps(given))


def _add_tokenizer(sandbox: SandboxInfo) -> None:
    """Uploads a byte-level BPE tokenizer. Without the package `tokenizers` it uploads none, and lengths are estimated."""
    try:
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    except ImportError:
        return
    from huggingface_hub import HfApi

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=4000, show_progress=False, initial_alphabet=alphabet)
    tokenizer.train_from_iterator((e.task for e in read_examples(limit=1000)), trainer)
    api = HfApi(endpoint=sandbox.hub, token=sandbox.hf_token)
    api.create_repo(TOKENIZED, private=True)
    api.upload_file(
        path_or_fileobj=tokenizer.to_str().encode(), path_in_repo="tokenizer.json", repo_id=TOKENIZED
    )


def _example(function: Any, copy: int, identity: str) -> dict[str, Any]:
    """An example of a real function. Each copy has different names, so that copies are not near-duplicates."""
    task = _NAME.sub(rf"\g<0>_{copy:x}", function.task)
    return {
        "id": identity,
        "inputs": {"task": task, "name": function.name},
        "outputs": {"docstring": f"{function.docstring} ({copy})"},
        "metadata": {"agent": "docs", "success": True, "module": function.module},
        "source_run": "",
    }


def _environment(sandbox: SandboxInfo, folder: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "NO_PROXY", "no_proxy") if name in os.environ}
    switches = {name: value for name, value in os.environ.items() if name.startswith("HF_HUB_")}
    own = {
        "PYTHONPATH": os.pathsep.join((str(_ROOT / "operator"), os.environ.get("PYTHONPATH", ""))),
        "HF_HOME": str(folder / "hf-home"),
    }
    return {**kept, **switches, **own, **sandbox.environment()}


async def _measure_cost(command: list[str], environment: dict[str, str]) -> Cost:
    return await asyncio.to_thread(_run_and_measure, command, environment)


def _run_and_measure(command: list[str], environment: dict[str, str]) -> Cost:
    loop_start = os.times()
    pid = os.posix_spawn(command[0], command, environment)
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command[:3])[:60]} ended with {os.waitstatus_to_exitcode(status)}")
    return Cost(
        wall=os.times().elapsed - loop_start.elapsed,
        processor=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss * 1024 / 1e6,
    )
