"""Which examples can be used at all, and what is refused for those that cannot.

Every refusal says how many examples are concerned, names one, and says what to do. Contents never appear in a
message: they may be anybody's code.
"""

from __future__ import annotations

import re
from collections import Counter as Counts
from collections.abc import Iterator
from dataclasses import dataclass, field

from modelops.api.v1alpha1.agentmodel import PromptContract
from modelops.datasets.rendering import Rendered, rendered
from modelops.datasets.report import Report
from modelops.datasets.request import Request
from modelops.datasets.source import Example
from modelops.domain.prompt import PromptError, check
from modelops.workdir import ProgramFailure


@dataclass(kw_only=True)
class Census:
    """Counts what cannot be used, and refuses at the end: one pass, and yet a message with all numbers."""

    request: Request
    learns_from_failures: bool
    bad: list[tuple[str, str]] = field(default_factory=list)
    others: Counts[str] = field(default_factory=Counts)
    failures: int = 0
    usable: int = 0
    empty: list[str] = field(default_factory=list)
    misfit: tuple[str, PromptError] | None = None

    def accepts(self, example: Example) -> bool:
        if not (_sound(example.inputs) and _sound(example.outputs)):
            self.bad.append((example.id, "outputs" if _sound(example.inputs) else "inputs"))
            return False
        if not _is_for(self.request.agent, example):
            self.others[str(example.metadata["agent"])] += 1
            return False
        if not succeeded(example) and not self.learns_from_failures:
            self.failures += 1
            return False
        self.usable += 1
        return True

    def rendered(self, example: Example, *, pairs: bool) -> Iterator[Rendered]:
        try:
            found = list(rendered(example, prompt=self.request.prompt, pairs=pairs))
        except PromptError as error:
            self.misfit = self.misfit or (example.id, error)
            return
        if any(not one.target for one in found):
            self.empty.append(example.id)
            return
        yield from found

    def judge(self, total: int, *, dataset: str, report: Report) -> None:
        """The first thing that is wrong with the whole; what was left out becomes findings."""
        if self.bad:
            first, part = self.bad[0]
            raise ProgramFailure(
                "DatasetShapeInvalid",
                f"{len(self.bad)} of {total} examples of dataset {dataset!r} lack inputs or outputs as an "
                f"object with keys; the first is example {first}, its `{part}`. Correct or remove them",
            )
        others = sorted(self.others)
        if self.others.total() == total:
            raise ProgramFailure(
                "DatasetShapeInvalid",
                f"all {total} examples of dataset {dataset!r} have metadata.agent {', '.join(others)!r}, "
                f"not {self.request.agent!r}; choose that agent's dataset",
            )
        if others:
            report.find(f"{self.others.total()} examples of other agents ({', '.join(others)}) were left out")
        if not self.usable:
            raise ProgramFailure(
                "DatasetShapeInvalid",
                f"no example of dataset {dataset!r} has metadata.success true; failures are not learnt from",
            )
        if self.failures:
            report.find(f"{self.failures} examples without metadata.success true were left out")
        if self.misfit:
            example, error = self.misfit
            raise ProgramFailure(
                "PromptRenderFailed",
                f"example {example} (of {self.usable}) does not fit the AgentModel's spec.{error}",
            ) from error
        if self.empty:
            raise ProgramFailure(
                "DatasetShapeInvalid",
                f"{len(self.empty)} of {self.usable} examples of dataset {dataset!r} have an empty target after "
                f"prompt.assistant; the first is example {self.empty[0]}. Correct or remove them",
            )
        report.figures["left_out"] = {"other_agents": self.others.total(), "failures": self.failures}


def _sound(part: object) -> bool:
    return isinstance(part, dict) and bool(part)


def _is_for(agent: str, example: Example) -> bool:
    named = example.metadata.get("agent")
    return named is None or named == agent or _plain(str(named)) == _plain(agent)


def _plain(agent: str) -> str:
    """feature_dev, feature-dev and FeatureDev are one agent."""
    return re.sub(r"[-_\s]", "", agent).lower()


def succeeded(example: Example) -> bool:
    """Without the metadata key `success`, an example is one."""
    return example.metadata.get("success", True) is True


def check_prompt(prompt: PromptContract) -> None:
    """Raises ProgramFailure PromptRenderFailed where a template does not compile."""
    try:
        check(prompt)
    except PromptError as error:
        raise ProgramFailure("PromptRenderFailed", f"the AgentModel's spec.{error}") from error
