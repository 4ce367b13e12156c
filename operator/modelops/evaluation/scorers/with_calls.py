"""Calls of tools beside any scorer of texts."""

from __future__ import annotations

from collections.abc import Sequence

from modelops.domain.answer_json import UnreadableJsonError
from modelops.domain.gates.tool_calls import same_calls
from modelops.evaluation.question import Question
from modelops.evaluation.scorers.interface import Score, Scorer, ToScore


class WithCalls:
    """Compares calls of tools where the example expects some, or the answer has some; the texts of all others.

    The same calls, by name and arguments, score 1, and others 0. An answer with a call that the example does not expect
    scores 0: an agent would call the tool and not take the text as the answer. A text beside expected calls is not
    compared.
    """

    def __init__(self, texts: Scorer) -> None:
        self._texts = texts

    @property
    def name(self) -> str:
        """See Scorer."""
        return self._texts.name

    def fault(self, question: Question) -> str | None:
        """See Scorer."""
        return None if question.calls else self._texts.fault(question)

    def select(self, questions: Sequence[Question], findings: list[str]) -> list[Question]:
        """See Scorer."""
        of_texts = [question for question in questions if not question.calls]
        kept = {question.example for question in (self._texts.select(of_texts, findings) if of_texts else [])}
        return [question for question in questions if question.calls or question.example in kept]

    def scores(self, answers: Sequence[ToScore]) -> list[Score]:
        """See Scorer."""
        of_texts = iter(self._texts.scores([answer for answer in answers if not _has_calls(answer)]))
        return [_compared(answer) if _has_calls(answer) else next(of_texts) for answer in answers]


def _has_calls(answer: ToScore) -> bool:
    return bool(answer.calls or answer.question.calls)


def _compared(answer: ToScore) -> Score:
    try:
        return Score(value=float(same_calls(answer.calls, answer.question.calls)))
    except UnreadableJsonError as error:
        return Score(value=None, comment=f"the arguments of a call are {error}")
