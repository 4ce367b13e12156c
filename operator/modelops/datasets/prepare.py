"""The dataset program, read top to bottom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelops.datasets.files import bundle
from modelops.datasets.groups import held_out
from modelops.datasets.request import Request
from modelops.datasets.rows import Row, Rows, make_rows
from modelops.datasets.source import Snapshot, evaluation_inputs, snapshot
from modelops.datasets.upload import upload
from modelops.workdir import ProgramFailure, WorkDir


def prepare(work: WorkDir) -> dict[str, Any]:
    """Read, check, render, split, upload; returns what `result.json` says of it. Raises ProgramFailure."""
    request = Request.of(work.input())
    source = request.langsmith
    work.progress("reading")
    found = snapshot(work, "source", source.dataset, as_of=source.as_of, splits=source.splits)
    work.progress("checking", total=len(found.examples))
    made = make_rows(found.examples, agent=request.agent, prompt=request.prompt, dataset=found.name)
    _check_number(made, request=request, found=found)
    if request.evaluation_dataset:
        _check_overlap(made.rows, *evaluation_inputs(work, request.evaluation_dataset), dataset=found.name)
    train, test = _split(made.rows, request=request)
    packed = bundle(request, found, train=train, test=test)
    work.progress("uploading", done=len(made.rows), total=len(made.rows))
    revision = upload(packed, repo=request.hub.repo)
    return {
        "rows": len(made.rows),
        "train": len(train),
        "test": len(test),
        "digest": packed.digest,
        "prompt_digest": packed.lineage["prompt"],
        "repo": request.hub.repo,
        "revision": revision,
        "dataset_id": found.dataset_id,
        "as_of": found.as_of,
        "findings": list(made.findings),
        "tokens": packed.lineage["tokens"],
        "p99_tokens": packed.lineage["p99_tokens"],
    }


def _check_number(made: Rows, *, request: Request, found: Snapshot) -> None:
    usable, needed = len(made.rows), request.min_examples
    if usable >= needed:
        return
    why = f" ({'; '.join(made.findings)})" if made.findings else ""
    raise ProgramFailure(
        "DatasetTooSmall",
        f"dataset {found.name!r} has {usable} usable examples of {len(found.examples)}{why}; "
        f"{needed} are needed: add at least {needed - usable}",
    )


def _check_overlap(rows: Sequence[Row], evaluation: str, digests: frozenset[str], *, dataset: str) -> None:
    shared = [row for row in rows if row.group in digests]
    if shared:
        raise ProgramFailure(
            "TrainTestOverlap",
            f"{len(shared)} of {len(rows)} examples of training dataset {dataset!r} have the same inputs, "
            f"but for case, spacing and punctuation, as examples of evaluation dataset {evaluation!r}, the "
            f"first being {shared[0].id}; an evaluation on them proves nothing. "
            "Remove them from one of the two",
        )


def _split(rows: Sequence[Row], *, request: Request) -> tuple[list[Row], list[Row]]:
    kept_apart = held_out(
        [row.group for row in rows], fraction=request.split.test_fraction, seed=request.split.seed
    )
    if not kept_apart:
        raise ProgramFailure(
            "DatasetTooSmall",
            f"all {len(rows)} usable examples have the same inputs; add different ones",
        )
    train = [row for row in rows if row.group not in kept_apart]
    test = [row for row in rows if row.group in kept_apart]
    return train, test
