"""The files of a dataset repository. The same rows give the same bytes, and so the same digest."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import rfc8785

from modelops.datasets.request import Request
from modelops.datasets.rows import Row
from modelops.datasets.source import Snapshot
from modelops.domain import prompt as prompts

TRAIN, TEST, LINEAGE, GROUPS = "data/train.jsonl", "data/test.jsonl", "modelops.json", "groups.json"


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """Everything that is uploaded, and the digest of what it means."""

    files: Mapping[str, bytes]
    digest: str
    lineage: Mapping[str, Any]


def bundle(request: Request, source: Snapshot, *, train: Sequence[Row], test: Sequence[Row]) -> Bundle:
    """`modelops.json` says where the rows come from; `groups.json` shows evaluations what was trained on."""
    data = {TRAIN: _lines(train), TEST: _lines(test)}
    covered: dict[str, Any] = {
        "form": "dataset/v1",
        "agent": request.agent,
        "method": request.method,
        "prompt": prompts.digest(request.prompt),
        "dataset_id": source.dataset_id,
        "as_of": source.as_of,
        "files": {path: hashlib.sha256(content).hexdigest() for path, content in data.items()},
    }
    digest = "sha256:" + hashlib.sha256(rfc8785.dumps(covered)).hexdigest()
    lineage = {
        **covered,
        "digest": digest,
        "run": request.run,
        "dataset": source.name,
        "rows": {"train": len(train), "test": len(test)},
        "tokens": sum(row.tokens for row in train),
        "p99_tokens": percentile([row.tokens for row in [*train, *test]], 0.99),
    }
    files = {
        **data,
        LINEAGE: _json(lineage),
        GROUPS: _json({"form": "groups/v1", "train": sorted({row.group for row in train})}),
        "README.md": _card(request, source, lineage),
    }
    return Bundle(files=files, digest=digest, lineage=lineage)


def percentile(values: Sequence[int], share: float) -> int:
    """The nearest-rank percentile."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _lines(rows: Sequence[Row]) -> bytes:
    return b"".join(
        json.dumps({"id": row.id, "messages": row.messages}, sort_keys=True).encode() + b"\n" for row in rows
    )


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, indent=1).encode()


def _card(request: Request, source: Snapshot, lineage: Mapping[str, Any]) -> bytes:
    return (
        "---\nconfigs:\n- config_name: default\n  data_files:\n"
        f"  - split: train\n    path: {TRAIN}\n  - split: test\n    path: {TEST}\ntags:\n- modelops\n---\n"
        f"# Training data of {request.agent}\n\n"
        f"Made by ModelOps run `{request.run}` from LangSmith dataset `{source.dataset_id}` as of "
        f"`{source.as_of}`. Digest `{lineage['digest']}`.\n"
    ).encode()
