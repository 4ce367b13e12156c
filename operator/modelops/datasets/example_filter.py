"""Which LangSmith examples are of the agent and can be used, for training and evaluation alike.

Examples that are left out are never a reason to refuse the others. Every refusal says how many examples are concerned,
names one of them and says what to do. The contents of examples never appear in a message, because they may be
confidential code.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from modelops.datasets.download import Example
from modelops.datasets.faulty_examples import shape_invalid
from modelops.datasets.rendering import has_both_answers
from modelops.grammar import counted, verb
from modelops.workdir import ProgramFailure

_SUCCESS_TEXTS = {"true": True, "false": False}


@dataclass(kw_only=True)
class ExampleFilter:
    """Lets the usable examples through and counts the others. All examples pass once, and then
    `refuse_or_report` is called once, so that a refusal can give the final numbers.

    `learns_from_failures`: examples without `metadata.success` true are used, too. `pairs`: a failure is a worse
    answer, so an example that nobody judged is neither a better nor a worse one; both answers in one example are.
    """

    agent: str
    on_failure: Callable[[Example], None] = lambda _: None
    """Called for each example that is left out because it is no success."""
    learns_from_failures: bool = False
    pairs: bool = False
    other_agents: Counter[str] = field(default_factory=Counter)
    """Examples of each other agent."""
    unclear: list[str] = field(default_factory=list)
    """Id of each example whose `metadata.success` says neither yes nor no."""
    unjudged: int = 0
    failures: int = 0
    malformed: list[tuple[str, str]] = field(default_factory=list)
    """Id of each example without usable inputs or outputs, and which of the two is wrong."""
    usable: int = 0

    def accepts(self, example: Example) -> bool:
        """Whether the example can be used, before it is rendered."""
        if not _belongs_to(self.agent, example):
            self.other_agents[str(example.metadata["agent"])] += 1
            return False
        try:
            success = success_of(example)
        except ValueError:
            self.unclear.append(example.id)
            return False
        if success is None and self.pairs and not has_both_answers(example.outputs):
            self.unjudged += 1
            return False
        if success is not True and not self.learns_from_failures:
            self.failures += 1
            self.on_failure(example)
            return False
        if not (_is_filled_object(example.inputs) and _is_filled_object(example.outputs)):
            self.malformed.append(
                (example.id, "`outputs`" if _is_filled_object(example.inputs) else "`inputs`")
            )
            return False
        self.usable += 1
        return True

    @property
    def left_out(self) -> Mapping[str, int]:
        """Numbers of examples that were left out, by reason."""
        unjudged = {"not_judged": self.unjudged} if self.unjudged else {}
        return {"other_agents": self.other_agents.total(), "failures": self.failures, **unjudged}

    def refuse_or_report(self, total: int, *, dataset: str, remedy: str, findings: list[str]) -> None:
        """Raises ProgramFailure DatasetShapeInvalid for the first fault of the dataset; adds findings about what was
        left out of it. `dataset` is the dataset in a message, `remedy` what to do where no example is a success."""
        self._refuse_unclear(total, dataset=dataset)
        if self.malformed:
            raise shape_invalid(
                self.malformed,
                of=total,
                dataset=dataset,
                fault=(
                    "lacks inputs or outputs as an object with keys",
                    "lack inputs or outputs as an object with keys",
                ),
                where=", its ",
            )
        others = sorted(self.other_agents)
        if self.other_agents.total() == total:
            raise ProgramFailure(
                "DatasetShapeInvalid",
                f"{dataset} has {counted(total, 'example')}, {verb(total, 'and it has', 'all with')} "
                f"metadata.agent {', '.join(others)!r}, not {self.agent!r}; choose that agent's dataset",
            )
        if others:
            count = self.other_agents.total()
            findings.append(
                f"{counted(count, 'example')} of other agents ({', '.join(others)}) {verb(count, 'was', 'were')} left "
                "out"
            )
        if not self.usable:
            raise ProgramFailure(
                "DatasetShapeInvalid",
                f"no example of {dataset} has metadata.success true{' or false' if self.pairs else ''}; {remedy}",
            )
        if self.failures:
            findings.append(
                f"{counted(self.failures, 'example')} without metadata.success true "
                f"{verb(self.failures, 'was', 'were')} left out"
            )
        if self.unjudged:
            findings.append(
                f"{counted(self.unjudged, 'example')} with metadata.success null {verb(self.unjudged, 'was', 'were')} "
                f"left out, because nobody judged {verb(self.unjudged, 'it', 'them')}"
            )

    def _refuse_unclear(self, total: int, *, dataset: str) -> None:
        if self.unclear:
            count = len(self.unclear)
            raise ProgramFailure(
                "DatasetShapeInvalid",
                f"metadata.success of {counted(count, 'example', of=total)} of {dataset} is neither true nor false nor "
                f"null; the first is example {self.unclear[0]}. Correct {verb(count, 'it', 'them')}",
            )


def success_of(example: Example) -> bool | None:
    """Whether `metadata.success` is true; None for null, which nobody judged. An example without this key counts as a
    success. `"true"` and `"false"` are read as well, because a CSV file has texts only. Raises ValueError for others.
    """
    value = example.metadata.get("success", True)
    if isinstance(value, str):
        value = _SUCCESS_TEXTS.get(value.strip().lower(), value)
    if value is None or isinstance(value, bool):
        return value
    raise ValueError("metadata.success is neither true nor false nor null")


def _is_filled_object(part: object) -> bool:
    return isinstance(part, dict) and bool(part)


def _belongs_to(agent: str, example: Example) -> bool:
    name = example.metadata.get("agent")
    return name is None or name == agent or _normalised_name(str(name)) == _normalised_name(agent)


def _normalised_name(agent: str) -> str:
    """feature_dev, feature-dev and FeatureDev are the same agent."""
    return re.sub(r"[-_\s]", "", agent).lower()
