"""chrF: the F-score of shared character n-grams, for prose in any language (M. Popović, WMT 2015, 392-395)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from modelops.evaluation.question import Question
from modelops.evaluation.scorers.interface import Score, ScorerOfEach, ToScore
from modelops.evaluation.scorers.prose import doubt_code

if TYPE_CHECKING:
    from sacrebleu.metrics.chrf import CHRF


class ChrF(ScorerOfEach):
    """The chrF of answer and expected answer with sacrebleu's settings (6 letters, no words, beta 2), from 0 to 1."""

    name = "chrF"

    def select(self, questions: Sequence[Question], findings: list[str]) -> list[Question]:
        """See Scorer."""
        doubt_code(self.name, questions, findings)
        return list(questions)

    def score(self, answer: ToScore) -> Score:
        """See ScorerOfEach."""
        value = self._metric.sentence_score(answer.text, [answer.question.target]).score / 100
        return Score(value=min(max(value, 0.0), 1.0))

    @cached_property
    def _metric(self) -> CHRF:
        from sacrebleu.metrics.chrf import CHRF

        return CHRF()
