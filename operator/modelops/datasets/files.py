"""The files of a dataset repository. The same rows give the same bytes, and so the same digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rfc8785

from modelops.datasets.choosing import Row
from modelops.datasets.examples import Holdings
from modelops.datasets.lengths import percentile, room_for
from modelops.datasets.request import Request
from modelops.datasets.source import Version
from modelops.datasets.spool import Spool
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


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """Everything that is uploaded but for the card, and the digest of what it means."""

    files: Mapping[str, bytes | Path]
    digest: str
    lineage: Mapping[str, Any]


def bundle(
    work: WorkDir,
    request: Request,
    source: Version,
    spool: Spool,
    *,
    train: Sequence[Row],
    test: Sequence[Row],
    near: Mapping[str, Any],
    holdings: Holdings,
    slack: float,
    tools: bool,
) -> Bundle:
    """`modelops.json` says where the rows come from; the groups show evaluations what was trained on.

    `max_tokens`: no row is longer in the training. The ids of the examples are beside the rows and outside of the
    digest: which of several copies is named changes nothing that is learnt.

    The rows are copied from the spool into the work folder: they are never in memory at once.
    """
    data = {TRAIN: work.folder / "train.jsonl", TEST: work.folder / "test.jsonl"}
    sums = {
        TRAIN: _written(data[TRAIN], train, spool, method=request.method),
        TEST: _written(data[TEST], test, spool, method=request.method),
    }
    covered: dict[str, Any] = {
        "form": "dataset/v1",
        "agent": request.agent,
        "method": request.method,
        "prompt": prompts.digest(request.prompt),
        "dataset_id": source.dataset_id,
        "as_of": source.as_of,
        "files": sums,
    }
    digest = "sha256:" + hashlib.sha256(rfc8785.dumps(covered)).hexdigest()
    lengths = [row.longest for row in [*train, *test]]
    lineage = {
        **covered,
        "digest": digest,
        "run": request.run,
        "dataset": source.name,
        "rows": {"train": len(train), "test": len(test)},
        "tokens": sum(row.tokens for row in train),
        "p99_tokens": percentile(lengths, 0.99),
        "max_tokens": room_for(max(lengths), slack=slack, tools=tools),
    }
    files: dict[str, bytes | Path] = {
        **data,
        LINEAGE: as_json(lineage),
        GROUPS: as_json({"form": "groups/v1", "train": sorted({row.group for row in train})}),
        NEAR: json.dumps(near, sort_keys=True).encode(),
        EXAMPLES: json.dumps(
            {"form": "examples/v1", "train": holdings.ids(train), "test": holdings.ids(test)}, sort_keys=True
        ).encode(),
    }
    return Bundle(files=files, digest=digest, lineage=lineage)


def as_json(document: Mapping[str, Any]) -> bytes:
    """A JSON file of the repository."""
    return json.dumps(document, sort_keys=True, indent=1).encode()


def _written(path: Path, rows: Sequence[Row], spool: Spool, *, method: str) -> str:
    """The file's SHA-256."""
    checksum = hashlib.sha256()
    with Spool(path) as file:
        for line in _lines(rows, spool, method=method):
            checksum.update(line)
            file.add(line)
    return checksum.hexdigest()


def _lines(rows: Sequence[Row], spool: Spool, *, method: str) -> Iterator[bytes]:
    """SFT: `messages`. DPO and ORPO: `prompt`, `chosen`, `rejected`, each a list of messages (TRL's form)."""
    for row in rows:
        line = spool.line(row.better.place)
        if method == "sft" or row.worse is None:
            yield line
            continue
        better, worse = json.loads(line), json.loads(spool.line(row.worse.place))
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
