"""Whether the evaluation's examples are among those trained on: invariant 11."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from modelops.datasets.choosing import Row
from modelops.datasets.groups import likeness
from modelops.datasets.near import NearIndex
from modelops.datasets.report import Report
from modelops.datasets.source import Journal, journal
from modelops.workdir import ProgramFailure, WorkDir

_AT_ONCE = 512


class Shared(NamedTuple):
    """Digests of the evaluation's inputs, and how many of its examples are near-copies of trained ones."""

    digests: frozenset[str]
    near: int
    examples: int


def check_overlap(
    work: WorkDir, ref: str, rows: Sequence[Row], index: NearIndex, *, dataset: str, report: Report
) -> None:
    """Raises ProgramFailure TrainTestOverlap for equal inputs; near ones are found and counted.

    The evaluation leaves out what is near itself, and says so: it has the same index.
    """
    found = journal(work, "evaluation", ref, as_of=None, about="evaluation_dataset")
    evaluation = found.version.name
    shared_with = _compared(found, index)
    shared = [row for row in rows if row.group in shared_with.digests]
    report.figures["evaluation"] = {
        "examples": shared_with.examples,
        "with_inputs_of_the_training": len(shared),
        "near_the_training": shared_with.near,
    }
    if shared:
        raise ProgramFailure(
            "TrainTestOverlap",
            f"{len(shared)} of {len(rows)} examples of training dataset {dataset!r} have the same inputs, "
            f"but for case, spacing and punctuation, as examples of evaluation dataset {evaluation!r}, the "
            f"first being {shared[0].id}; an evaluation on them proves nothing. "
            "Remove them from one of the two",
        )
    if shared_with.near:
        report.find(
            f"{shared_with.near} of {shared_with.examples} examples of evaluation dataset {evaluation!r} are "
            "near-copies of examples trained on; an evaluation leaves them out"
        )


def _compared(found: Journal, index: NearIndex) -> Shared:
    digests: set[str] = set()
    near = count = 0
    remaining = iter(found)
    while batch := list(islice(remaining, _AT_ONCE)):
        alike = [likeness(e.inputs) for e in batch if isinstance(e.inputs, dict)]
        digests.update(one.digest for one in alike)
        near += sum(index.near([one.words for one in alike]))
        count += len(batch)
    return Shared(frozenset(digests), near, count)
