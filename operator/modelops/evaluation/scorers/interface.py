"""What a scorer is: it compares answers with what their examples expect, and gives each a number from 0 to 1."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from modelops.evaluation.question import Question
from modelops.evaluation.time_limit import READ_SECONDS, TooSlow, processor_time_limit
from modelops.grammar import counted
from modelops.workdir import ProgramFailure

MOST_SLOW: Final = 20
"""Answers that may take longer before the evaluation is refused. So the whole scoring is bounded as well."""


@dataclass(frozen=True, kw_only=True)
class ToScore:
    """One answer of a model. `text` is its text after `prompt.parse`, and `calls` are its calls of tools, in OpenAI's
    form. It has one of the two: an answer with neither is no success, and no scorer sees it."""

    question: Question
    text: str
    calls: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Score:
    """The score of one answer, from 0 to 1; None where it has none, which is no success at any threshold.

    `comment` says why, for a person.
    """

    value: float | None
    comment: str = ""


class Scorer(Protocol):
    """A way to score answers. `name` is the key of its scores in LangSmith."""

    @property
    def name(self) -> str: ...

    def fault(self, question: Question) -> str | None:
        """What is wrong with the example, where no answer to it could be scored; None where nothing is.

        A dataset with a faulty example is refused before anything is paid.
        """

    def select(self, questions: Sequence[Question], findings: list[str]) -> list[Question]:
        """The questions that can be scored. Those that are left out, and doubts about the others, become findings.

        It is called before anything is paid, and again by the evaluation. Raises ProgramFailure where the scorer cannot
        be used at all.
        """

    def scores(self, answers: Sequence[ToScore]) -> list[Score]:
        """The score of each answer, in their order. What is wrong with one answer is a score of None, never an error.

        The answers of an evaluation come in several calls, so that few of their texts are in memory.

        Raises ProgramFailure where the scorer itself does not work: then no result would mean anything.
        """


class ScorerOfEach(ABC):
    """A scorer that looks at each answer for itself. It accepts every question unless a subclass says otherwise."""

    name: str
    slow = 0
    """The answers that took too long until now."""
    remedy_for_slowness = "use another scorer, or lower spec.prompt.maxTokens of the AgentModel"

    def fault(self, question: Question) -> str | None:  # noqa: ARG002
        """See Scorer."""
        return None

    def select(self, questions: Sequence[Question], findings: list[str]) -> list[Question]:  # noqa: ARG002
        """See Scorer."""
        return list(questions)

    def scores(self, answers: Sequence[ToScore]) -> list[Score]:
        """See Scorer. An answer that takes too long has no score.

        Raises ProgramFailure ScorerFailed where `MOST_SLOW` answers do.
        """
        found: list[Score] = []
        for answer in answers:
            try:
                with self.time_limit():
                    found.append(self.score(answer))
            except TooSlow as error:
                self.slow += 1
                if self.slow == MOST_SLOW:
                    raise ProgramFailure(
                        "ScorerFailed",
                        f"scorer {self.name} takes {error} for each of {counted(self.slow, 'answer')}; "
                        f"{self.remedy_for_slowness}",
                    ) from error
                found.append(Score(value=None, comment=f"scorer {self.name} takes {error}"))
        return found

    def time_limit(self) -> AbstractContextManager[None]:
        """The limit on the time of one answer. Raises TooSlow in its block."""
        return processor_time_limit(READ_SECONDS)

    @abstractmethod
    def score(self, answer: ToScore) -> Score:
        """The score of one answer."""
