"""Whether examples of the evaluation dataset would be trained on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from modelops.datasets.download import DownloadedDataset, download_dataset
from modelops.datasets.near import NearIndex
from modelops.datasets.normalised_inputs import normalise_inputs
from modelops.datasets.report import Report
from modelops.datasets.training_rows import Row
from modelops.grammar import counted, verb
from modelops.workdir import ProgramFailure, WorkDir

_AT_ONCE = 512


class EvaluationInputs(NamedTuple):
    """Digests of the evaluation's inputs, the number of its examples, and how many are near-copies of training rows."""

    digests: frozenset[str]
    near: int
    examples: int


def check_overlap(
    work: WorkDir, ref: str, rows: Sequence[Row], index: NearIndex, *, dataset: str, report: Report
) -> None:
    """Raises ProgramFailure TrainTestOverlap for equal inputs. Near-copies are only counted and reported.

    The evaluation has the same index: it leaves its near-copies out by itself, and reports them, too.
    """
    downloaded = download_dataset(work, "evaluation", ref, as_of=None, about="evaluation_dataset")
    evaluation = downloaded.version.name
    compared = _compare(downloaded, index)
    overlapping = [row for row in rows if row.inputs_digest in compared.digests]
    report.figures["evaluation"] = {
        "examples": compared.examples,
        "with_inputs_of_the_training": len(overlapping),
        "near_the_training": compared.near,
    }
    if overlapping:
        count = len(overlapping)
        raise ProgramFailure(
            "TrainTestOverlap",
            f"{counted(count, 'example', of=len(rows))} of training dataset {dataset!r} {verb(count, 'has', 'have')} "
            "the same inputs, apart from case, spacing and the ends of sentences, as an example of evaluation dataset "
            f"{evaluation!r}; the first is {overlapping[0].id}. An evaluation with examples that were trained on "
            f"proves nothing. Remove {verb(count, 'it', 'them')} from one of the two datasets",
        )
    if compared.near:
        near = compared.near
        report.add_finding(
            f"{counted(near, 'example', of=compared.examples)} of evaluation dataset {evaluation!r} "
            f"{verb(near, 'is a near-copy', 'are near-copies')} of training examples; an evaluation leaves "
            f"{verb(near, 'it', 'them')} out"
        )


def _compare(evaluation: DownloadedDataset, index: NearIndex) -> EvaluationInputs:
    digests: set[str] = set()
    near = count = 0
    remaining = iter(evaluation)
    while batch := list(islice(remaining, _AT_ONCE)):
        inputs = [normalise_inputs(example.inputs) for example in batch if isinstance(example.inputs, dict)]
        digests.update(one.digest for one in inputs)
        near += sum(index.has_near_copy([one.words for one in inputs]))
        count += len(batch)
    return EvaluationInputs(frozenset(digests), near, count)
