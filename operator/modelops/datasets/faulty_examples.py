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
    faulty = _described(examples, of=of, dataset=dataset, fault=fault, where=where or ": ")
    return ProgramFailure(
        "DatasetShapeInvalid", f"{faulty}. Correct or remove {verb(len(examples), 'it', 'them')}"
    )


def prompt_misfit(examples: Sequence[tuple[str, str]], *, of: int, dataset: str) -> ProgramFailure:
    """The refusal for `examples` that do not fit the prompt contract: the id of each, and the PromptError's message,
    which names the template and what to do. `of`: all examples of the dataset."""
    fault = "does not fit the AgentModel's spec.prompt", "do not fit the AgentModel's spec.prompt"
    return ProgramFailure(
        "PromptRenderFailed", _described(examples, of=of, dataset=dataset, fault=fault, where=": spec.")
    )


def _described(
    examples: Sequence[tuple[str, str]], *, of: int, dataset: str, fault: tuple[str, str], where: str
) -> str:
    first, wrong = examples[0]
    count = len(examples)
    return (
        f"{counted(count, 'example', of=of)} of {dataset} {verb(count, *fault)}; the first is example "
        f"{first}{where}{wrong}"
    )
