"""The files of a dataset repository. The same rows give the same bytes, and therefore the same digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rfc8785

from modelops.datasets.download import DatasetVersion
from modelops.datasets.example_ids import ExampleIds
from modelops.datasets.lengths import max_training_tokens, percentile
from modelops.datasets.line_file import LineFile
from modelops.datasets.request import Request
from modelops.datasets.training_rows import Row
from modelops.domain import prompt as prompts
from modelops.workdir import WorkDir

TRAIN, TEST, LINEAGE, GROUPS, NEAR, EXAMPLES, CARD = (
    "data/train.jsonl",
    "data/test.jsonl",
    "modelops.json",
    "groups.json",
    "near.json",
    "examples.json",
    "README.md",
)
"""Paths in a dataset repository."""
GROUPS_FORM = "groups/v2"


@dataclass(frozen=True, kw_only=True)
class DatasetFiles:
    """Every file to upload except for the card, by its path in the repository.

    `digest` identifies the content that is trained on; `lineage` is the content of `modelops.json`.
    """

    files: Mapping[str, bytes | Path]
    digest: str
    lineage: Mapping[str, Any]


def write_files(
    work: WorkDir,
    request: Request,
    version: DatasetVersion,
    rendered: LineFile,
    *,
    train: Sequence[Row],
    test: Sequence[Row],
    near: Mapping[str, Any],
    example_ids: ExampleIds,
    slack: float,
    tools: bool,
) -> DatasetFiles:
    """Write the rows into the work folder and describe them.

    `modelops.json` says where the rows come from. Its `max_tokens` is a bound: no row is longer in the training.
    `groups.json` shows to evaluations what was trained on. `examples.json` is beside the rows and not part of
    the digest, because the choice between several copies of an example changes nothing that is learnt.

    The rows are copied line by line from `rendered`, so that they are never in memory together.
    """
    data = {TRAIN: work.folder / "train.jsonl", TEST: work.folder / "test.jsonl"}
    sums = {
        TRAIN: _write_rows(data[TRAIN], train, rendered, method=request.method),
        TEST: _write_rows(data[TEST], test, rendered, method=request.method),
    }
    covered: dict[str, Any] = {
        "form": "dataset/v1",
        "agent": request.agent,
        "method": request.method,
        "prompt": prompts.digest(request.prompt),
        "dataset_id": version.dataset_id,
        "as_of": version.as_of,
        "files": sums,
    }
    digest = "sha256:" + hashlib.sha256(rfc8785.dumps(covered)).hexdigest()
    lengths = [row.longest for row in [*train, *test]]
    lineage = {
        **covered,
        "digest": digest,
        "run": request.run,
        "dataset": version.name,
        "rows": {"train": len(train), "test": len(test)},
        "tokens": sum(row.tokens for row in train),
        "p99_tokens": percentile(lengths, 0.99),
        "max_tokens": max_training_tokens(max(lengths), slack=slack, tools=tools),
    }
    files: dict[str, bytes | Path] = {
        **data,
        LINEAGE: as_json(lineage),
        GROUPS: as_json(_groups(train)),
        NEAR: json.dumps(near, sort_keys=True).encode(),
        EXAMPLES: json.dumps(
            {"form": "examples/v1", "train": example_ids.of_rows(train), "test": example_ids.of_rows(test)},
            sort_keys=True,
        ).encode(),
    }
    return DatasetFiles(files=files, digest=digest, lineage=lineage)


def _groups(train: Sequence[Row]) -> dict[str, Any]:
    """Digests of what was trained on: of the prompts, of the turns of the conversations that were answered in their
    history, and of the inputs, for an evaluation with another prompt contract. `groups/v1` had the inputs only."""
    answered = {turn for row in train for turn in row.better.turns[:-1]}
    return {
        "form": GROUPS_FORM,
        "prompts": sorted({row.prompt_digest for row in train}),
        "turns": sorted(answered),
        "inputs": sorted({row.better.inputs_digest for row in train}),
    }


def as_json(document: Mapping[str, Any]) -> bytes:
    """The content of a JSON file of the repository."""
    return json.dumps(document, sort_keys=True, indent=1).encode()


def _write_rows(path: Path, rows: Sequence[Row], rendered: LineFile, *, method: str) -> str:
    """Write the file; returns its SHA-256."""
    checksum = hashlib.sha256()
    with LineFile(path) as file:
        for line in _lines(rows, rendered, method=method):
            checksum.update(line)
            file.append(line)
    return checksum.hexdigest()


def _only_last(line: bytes) -> bytes:
    """The row of a conversation of which the job learns the last answer only (`trainers/trl_rows.py`)."""
    return json.dumps({**json.loads(line), "learn": "last"}, sort_keys=True).encode() + b"\n"


def _lines(rows: Sequence[Row], rendered: LineFile, *, method: str) -> Iterator[bytes]:
    """Rows in TRL's formats. SFT: `messages`. DPO and ORPO: `prompt`, `chosen`, `rejected`, each a list of messages."""
    for row in rows:
        line = rendered.read_line(row.better.offset)
        if method == "sft" or row.worse is None:
            yield _only_last(line) if row.better.only_last else line
            continue
        better, worse = json.loads(line), json.loads(rendered.read_line(row.worse.offset))
        document = {
            "id": row.id,
            "rejected_id": row.worse.id,
            "prompt": better["prompt"],
            "chosen": better["answer"],
            "rejected": worse["answer"],
        }
        if "tools" in better:
            document["tools"] = better["tools"]
        yield json.dumps(document, sort_keys=True).encode() + b"\n"
