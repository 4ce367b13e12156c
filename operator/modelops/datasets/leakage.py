"""Whether examples of the evaluation dataset would be trained on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from modelops.datasets.download import DownloadedDataset, download_dataset
from modelops.datasets.near import NearIndex
from modelops.datasets.normalised_prompts import normalise_example
from modelops.datasets.report import Report
from modelops.datasets.request import Request
from modelops.datasets.training_rows import Row
from modelops.grammar import counted, verb
from modelops.workdir import ProgramFailure, WorkDir

_AT_ONCE = 512


class EvaluationPrompts(NamedTuple):
    """The evaluation's examples beside the rows: the questions of those that are equal to a row's, how many others are
    near-copies of rows (reformatted ones included), how many are earlier turns of their conversations, and how many
    examples there are."""

    equal: frozenset[tuple[str, bytes]]
    near: int
    earlier_turns: int
    examples: int


def check_overlap(
    work: WorkDir, request: Request, rows: Sequence[Row], index: NearIndex, *, dataset: str, report: Report
) -> None:
    """Raises ProgramFailure TrainTestOverlap for prompts of the same text. Others are only counted and reported.

    The evaluation has the same index and digests: it leaves these out by itself, and reports them, too. So a test that
    takes two programs for one, because they differ in a capital or a mark, costs an example and not the training.
    """
    ref = str(request.evaluation_dataset)
    downloaded = download_dataset(work, "evaluation", ref, as_of=None, about="evaluation_dataset")
    evaluation = downloaded.version.name
    compared = _compare(downloaded, request, rows, index)
    overlapping = [row for row in rows if row.better.question in compared.equal]
    report.figures["evaluation"] = {
        "examples": compared.examples,
        "with_inputs_of_the_training": len(overlapping),
        "near_the_training": compared.near,
        "earlier_turns_of_the_training": compared.earlier_turns,
    }
    if overlapping:
        count = len(overlapping)
        raise ProgramFailure(
            "TrainTestOverlap",
            f"{counted(count, 'example', of=len(rows))} of training dataset {dataset!r} {verb(count, 'has', 'have')} "
            f"the same prompt as an example of evaluation dataset {evaluation!r}; the first is {overlapping[0].id}. An "
            "evaluation with examples that were trained on proves nothing. Remove "
            f"{verb(count, 'it', 'them')} from one of the two datasets",
        )
    for count, one, many in (
        (compared.near, "is a near-copy of training examples", "are near-copies of training examples"),
        (
            compared.earlier_turns,
            "is an earlier turn of a conversation of the training",
            "are earlier turns of conversations of the training",
        ),
    ):
        if count:
            report.add_finding(
                f"{counted(count, 'example', of=compared.examples)} of evaluation dataset {evaluation!r} "
                f"{verb(count, one, many)}; an evaluation leaves {verb(count, 'it', 'them')} out"
            )


def _compare(
    evaluation: DownloadedDataset, request: Request, rows: Sequence[Row], index: NearIndex
) -> EvaluationPrompts:
    questions = {row.better.question for row in rows}
    digests = {row.prompt_digest for row in rows}
    answered = {turn for row in rows for turn in row.better.turns[:-1]}
    equal: set[tuple[str, bytes]] = set()
    near = earlier_turns = count = 0
    remaining = iter(evaluation)
    while batch := list(islice(remaining, _AT_ONCE)):
        found = [
            normalise_example(request.prompt, example.inputs)
            for example in batch
            if isinstance(example.inputs, dict)
        ]
        for one, is_near in zip(found, index.has_near_copy([one.words for one in found]), strict=True):
            if (one.digest, one.question) in questions:
                equal.add((one.digest, one.question))
            elif one.digest not in digests and one.turns[-1] in answered:
                earlier_turns += 1
            elif is_near or one.digest in digests:
                near += 1
        count += len(batch)
    return EvaluationPrompts(frozenset(equal), near, earlier_turns, count)
