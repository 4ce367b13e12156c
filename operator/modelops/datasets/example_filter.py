"""Which LangSmith examples can be used, and the refusal of a dataset where too few can.

Every refusal says how many examples are concerned, names one of them and says what to do. The contents of examples
never appear in a message, because they may be confidential code.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from modelops.api.v1alpha1.agentmodel import PromptContract
from modelops.datasets.download import Example
from modelops.datasets.rendering import RenderedExample, check_trainable, render_example
from modelops.datasets.report import Report
from modelops.datasets.request import Request
from modelops.domain.prompt import ExampleError, PromptError, check
from modelops.grammar import counted, verb
from modelops.workdir import ProgramFailure


@dataclass(kw_only=True)
class ExampleFilter:
    """Lets the usable examples through and counts the others. All examples pass once, and then
    `refuse_or_report` is called once, so that a refusal can give the final numbers.

    `learns_from_failures`: examples with `metadata.success` false are used, too.
    """

    request: Request
    learns_from_failures: bool
    malformed: list[tuple[str, str]] = field(default_factory=list)
    """Id of each example without usable inputs or outputs, and which of the two is wrong."""
    other_agents: Counter[str] = field(default_factory=Counter)
    """Examples of each other agent."""
    failures: int = 0
    usable: int = 0
    empty_targets: list[str] = field(default_factory=list)
    untrainable: list[tuple[str, str]] = field(default_factory=list)
    """Id of each example that the training job would refuse, and why."""
    render_error: tuple[str, PromptError] | None = None
    """Id of the first example that does not fit the prompt contract, and how."""

    def accepts(self, example: Example) -> bool:
        """Whether the example can be used, before it is rendered."""
        if not (_is_filled_object(example.inputs) and _is_filled_object(example.outputs)):
            self.malformed.append((example.id, "outputs" if _is_filled_object(example.inputs) else "inputs"))
            return False
        if not _belongs_to(self.request.agent, example):
            self.other_agents[str(example.metadata["agent"])] += 1
            return False
        if not is_success(example) and not self.learns_from_failures:
            self.failures += 1
            return False
        self.usable += 1
        return True

    def render(self, example: Example, *, pairs: bool) -> Iterator[RenderedExample]:
        """The example by the prompt contract; nothing where it does not fit or its target is empty."""
        try:
            rendered = list(render_example(example, prompt=self.request.prompt, pairs=pairs))
            if any(not one.target for one in rendered):
                self.empty_targets.append(example.id)
                return
            for one in rendered:
                check_trainable(one)
        except ExampleError as error:
            self.untrainable.append((example.id, str(error)))
        except PromptError as error:
            self.render_error = self.render_error or (example.id, error)
        else:
            yield from rendered

    def refuse_or_report(self, total: int, *, dataset: str, report: Report) -> None:
        """Raises ProgramFailure for the first fault of the dataset; reports what was left out of it."""
        if self.malformed:
            first, part = self.malformed[0]
            count = len(self.malformed)
            raise ProgramFailure(
                "DatasetShapeInvalid",
                f"{counted(count, 'example', of=total)} of dataset {dataset!r} {verb(count, 'lacks', 'lack')} inputs "
                f"or outputs as an object with keys; the first is example {first}, its `{part}`. Correct or remove "
                f"{verb(count, 'it', 'them')}",
            )
        others = sorted(self.other_agents)
        if self.other_agents.total() == total:
            raise ProgramFailure(
                "DatasetShapeInvalid",
                f"dataset {dataset!r} has {counted(total, 'example')}, {verb(total, 'and it has', 'all with')} "
                f"metadata.agent {', '.join(others)!r}, not {self.request.agent!r}; choose that agent's dataset",
            )
        if others:
            count = self.other_agents.total()
            report.add_finding(
                f"{counted(count, 'example')} of other agents ({', '.join(others)}) {verb(count, 'was', 'were')} left "
                "out"
            )
        if not self.usable:
            raise ProgramFailure(
                "DatasetShapeInvalid",
                f"no example of dataset {dataset!r} has metadata.success true, and failures are not used for "
                "training; add successful examples, or set spec.dataset.includeFailures",
            )
        if self.failures:
            report.add_finding(
                f"{counted(self.failures, 'example')} without metadata.success true "
                f"{verb(self.failures, 'was', 'were')} left out"
            )
        if self.untrainable:
            first, fault = self.untrainable[0]
            count = len(self.untrainable)
            raise ProgramFailure(
                "DatasetShapeInvalid",
                f"{counted(count, 'example', of=self.usable)} of dataset {dataset!r} cannot be trained on; the first "
                f"is example {first}: {fault}. Correct or remove {verb(count, 'it', 'them')}",
            )
        if self.render_error:
            example, error = self.render_error
            raise ProgramFailure(
                "PromptRenderFailed",
                f"example {example} (of {self.usable}) does not fit the AgentModel's spec.{error}",
            ) from error
        if self.empty_targets:
            count = len(self.empty_targets)
            raise ProgramFailure(
                "DatasetShapeInvalid",
                f"{counted(count, 'example', of=self.usable)} of dataset {dataset!r} {verb(count, 'has', 'have')} an "
                f"empty target after prompt.assistant; the first is example {self.empty_targets[0]}. Correct or "
                f"remove {verb(count, 'it', 'them')}",
            )
        report.figures["left_out"] = {
            "other_agents": self.other_agents.total(),
            "failures": self.failures,
        }


def is_success(example: Example) -> bool:
    """Whether `metadata.success` is true; an example without this key counts as a success."""
    return example.metadata.get("success", True) is True


def check_prompt(prompt: PromptContract) -> None:
    """Raises ProgramFailure PromptRenderFailed where a template does not compile."""
    try:
        check(prompt)
    except PromptError as error:
        raise ProgramFailure("PromptRenderFailed", f"the AgentModel's spec.{error}") from error


def _is_filled_object(part: object) -> bool:
    return isinstance(part, dict) and bool(part)


def _belongs_to(agent: str, example: Example) -> bool:
    name = example.metadata.get("agent")
    return name is None or name == agent or _normalised_name(str(name)) == _normalised_name(agent)


def _normalised_name(agent: str) -> str:
    """feature_dev, feature-dev and FeatureDev are the same agent."""
    return re.sub(r"[-_\s]", "", agent).lower()
