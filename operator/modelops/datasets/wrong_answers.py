"""Answers that are left out because they were no success, and the later turns of their conversations.

LangSmith logs one run for each turn, with the whole history, whose answers are learnt, too (`conversations`). An answer
that is left out by itself would be learnt from there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from modelops.api.v1alpha1.agentmodel import PromptContract
from modelops.datasets.download import Example
from modelops.datasets.normalised_prompts import answer_in_history
from modelops.datasets.report import Report
from modelops.grammar import counted, verb


@dataclass(kw_only=True)
class WrongAnswers:
    """The answers of examples that were left out as no success (`NormalisedPrompt.answers`)."""

    prompt: PromptContract
    found: set[str] = field(default_factory=set)

    def note(self, example: Example) -> None:
        """Note the answer of an example that is left out. One that cannot be rendered has none."""
        if isinstance(example.inputs, dict) and isinstance(example.outputs, dict):
            self.found |= {answer_in_history(self.prompt, example.inputs, example.outputs)} - {""}

    def are_in(self, history: Iterable[str]) -> bool:
        """Whether one of them is among these answers (`NormalisedPrompt.answers`)."""
        return not self.found.isdisjoint(history)


def report_histories(count: int, *, report: Report) -> None:
    """Add a finding about so many examples of which only the last answer is learnt."""
    if count:
        report.add_finding(
            f"{counted(count, 'example')} {verb(count, 'has in its', 'have in their')} history an answer that another "
            f"example marks as no success; of {verb(count, 'this', 'these')} only the last answer is learnt"
        )
