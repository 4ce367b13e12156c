"""The refusal of a dataset for some of its examples: how many, which is the first, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from modelops.grammar import counted, verb
from modelops.workdir import ProgramFailure


def shape_invalid(
    examples: Sequence[tuple[str, str]], *, of: int, dataset: str, fault: tuple[str, str], where: str = ""
) -> ProgramFailure:
    """The refusal for `examples`: the id of each, and what is wrong with it.

    `fault` completes a sentence about one example and about several. `where` stands between the first example's id and
    what is wrong with it; a colon if it is empty. `of`: all examples of the dataset.
    """
    first, wrong = examples[0]
    count = len(examples)
    return ProgramFailure(
        "DatasetShapeInvalid",
        f"{counted(count, 'example', of=of)} of {dataset} {verb(count, *fault)}; the first is example "
        f"{first}{where or ': '}{wrong}. Correct or remove {verb(count, 'it', 'them')}",
    )
