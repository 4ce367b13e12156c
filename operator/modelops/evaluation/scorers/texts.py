"""The scorers that compare two texts: exact, json, regex and tokenF1."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from modelops.domain.answer_json import UnreadableJsonError, read_json
from modelops.domain.gates import scoring
from modelops.evaluation.question import Question
from modelops.evaluation.scorers.interface import Score, ScorerOfEach, ToScore
from modelops.evaluation.scorers.prose import doubt_code

PATTERN: Final = "pattern"
"""The key of outputs that has an example's own regular expression."""


class Exact(ScorerOfEach):
    """1 where the answer equals the expected one."""

    name = "exact"

    def score(self, answer: ToScore) -> Score:
        """See ScorerOfEach."""
        return Score(value=scoring.exact(answer.text, answer.question.target))


class Json(ScorerOfEach):
    """1 where answer and expected answer are equal as JSON, with the types of their values."""

    name = "json"

    def fault(self, question: Question) -> str | None:
        """See Scorer."""
        try:
            read_json(question.target)
        except UnreadableJsonError as error:
            return f"its target is {error}, and spec.evaluation.scorer is json, which you may change"
        return None

    def score(self, answer: ToScore) -> Score:
        """See ScorerOfEach."""
        try:
            return Score(value=scoring.equal_json(answer.text, answer.question.target))
        except UnreadableJsonError as error:
            return Score(value=None, comment=str(error))


class Regex(ScorerOfEach):
    """1 where the example's regular expression, `outputs.pattern`, matches in the answer.

    Without that key the expected answer itself is the expression.
    """

    name = "regex"
    remedy_for_slowness = "simplify the expressions, so that no group that repeats is repeated"

    def fault(self, question: Question) -> str | None:
        """See Scorer."""
        own = question.outputs.get(PATTERN)
        if PATTERN in question.outputs and (not isinstance(own, str) or not own):
            return f"its outputs.{PATTERN} is no regular expression: write a text that is not empty"
        where = f"outputs.{PATTERN}" if PATTERN in question.outputs else "expected answer"
        try:
            compiled = re.compile(pattern_of(question))
        except (re.error, OverflowError, RecursionError) as error:
            return f"its {where} is no regular expression, and spec.evaluation.scorer is regex: {error}"
        if compiled.search("") is not None:
            return f"its {where} matches an empty answer, so it would match every answer"
        if own is not None and question.target.strip() and compiled.search(question.target) is None:
            return f"its outputs.{PATTERN} does not match its own expected answer"
        return None

    def score(self, answer: ToScore) -> Score:
        """See ScorerOfEach."""
        return Score(value=scoring.matches(answer.text, pattern_of(answer.question)))


class TokenF1(ScorerOfEach):
    """The harmonic mean of shared words (precision and recall): for prose."""

    name = "tokenF1"

    def select(self, questions: Sequence[Question], findings: list[str]) -> list[Question]:
        """See Scorer."""
        doubt_code(self.name, questions, findings)
        return list(questions)

    def score(self, answer: ToScore) -> Score:
        """See ScorerOfEach."""
        return Score(value=scoring.token_f1(answer.text, answer.question.target))


def pattern_of(question: Question) -> str:
    """The regular expression that an answer must match."""
    return str(question.outputs.get(PATTERN, question.target))
