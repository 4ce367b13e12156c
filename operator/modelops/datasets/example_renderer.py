"""Renders the examples of a dataset by the prompt contract, and refuses the dataset where one cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from modelops.api.v1alpha1.agentmodel import PromptContract
from modelops.datasets.download import Example
from modelops.datasets.example_fields import empty_output
from modelops.datasets.faulty_examples import prompt_misfit, shape_invalid
from modelops.datasets.rendering import RenderedExample, check_trainable, render_example
from modelops.domain.prompt import ExampleError, PromptError, check
from modelops.workdir import ProgramFailure


@dataclass(kw_only=True)
class ExampleRenderer:
    """Renders usable examples and notes the faulty ones. After the last example `refuse` is called once, so that a
    refusal can give the final numbers.

    `pairs`: of an example with `outputs.chosen` and `outputs.rejected` both answers are rendered.
    """

    prompt: PromptContract
    pairs: bool
    empty_targets: list[tuple[str, str]] = field(default_factory=list)
    """Id of each example with an answer that is empty, and the field of the answer."""
    untrainable: list[tuple[str, str]] = field(default_factory=list)
    """Id of each example that the training job would refuse, and why."""
    misfits: list[tuple[str, str]] = field(default_factory=list)
    """Id of each example that does not fit the prompt contract, and how."""

    def render(self, example: Example) -> Iterator[RenderedExample]:
        """The example by the prompt contract; nothing where it does not fit or its target is empty."""
        try:
            rendered = list(render_example(example, prompt=self.prompt, pairs=self.pairs))
            empty = [one for one in rendered if not one.target]
            if empty:
                self.empty_targets.append((example.id, _answer_field(empty[0])))
                return
            for one in rendered:
                check_trainable(one)
        except ExampleError as error:
            self.untrainable.append((example.id, str(error)))
        except PromptError as error:
            self.misfits.append((example.id, str(error)))
        else:
            yield from rendered

    def refuse(self, usable: int, *, dataset: str) -> None:
        """Raises ProgramFailure for the first fault among the `usable` examples of the dataset."""
        if self.untrainable:
            raise shape_invalid(
                self.untrainable,
                of=usable,
                dataset=f"dataset {dataset!r}",
                fault=("cannot be trained on", "cannot be trained on"),
            )
        if self.misfits:
            raise prompt_misfit(self.misfits, of=usable, dataset=f"dataset {dataset!r}")
        if self.empty_targets:
            raise shape_invalid(
                self.empty_targets,
                of=usable,
                dataset=f"dataset {dataset!r}",
                fault=(
                    "has an empty target after prompt.assistant",
                    "have an empty target after prompt.assistant",
                ),
                where=", its ",
            )


def _answer_field(one: RenderedExample) -> str:
    if one.preferred is None:
        return empty_output(one.example)
    return "outputs.chosen" if one.preferred else "outputs.rejected"


def check_prompt(prompt: PromptContract) -> None:
    """Raises ProgramFailure PromptRenderFailed where a template does not compile."""
    try:
        check(prompt)
    except PromptError as error:
        raise ProgramFailure("PromptRenderFailed", f"the AgentModel's spec.{error}") from error
