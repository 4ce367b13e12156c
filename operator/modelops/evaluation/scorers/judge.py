"""The scorer `judge`: the answer that a calibrated judge prefers scores 1, the other one 0, and a tie 0.5 for both."""

from __future__ import annotations

from collections.abc import Sequence

from modelops.api.v1alpha1.scorer import ScorerType
from modelops.evaluation.question import Question
from modelops.evaluation.scorers.interface import Score, ToScore


class Judge:
    """It accepts every question. The scores are those of `judge.deciding`, since it needs both answers at once."""

    name = ScorerType.JUDGE.value

    def fault(self, question: Question) -> str | None:  # noqa: ARG002
        """See Scorer."""
        return None

    def select(self, questions: Sequence[Question], findings: list[str]) -> list[Question]:  # noqa: ARG002
        """See Scorer."""
        return list(questions)

    def scores(self, answers: Sequence[ToScore]) -> list[Score]:
        """No answer has a score of its own."""
        return [Score(value=None) for _ in answers]
