"""The scores of all answers: each is read by spec.prompt.parse, and then scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Final

from modelops.domain import prompt as prompts
from modelops.evaluation.journal import Answer, Key
from modelops.evaluation.question import Question
from modelops.evaluation.question_of_example import has_pattern
from modelops.evaluation.request import Request
from modelops.evaluation.scorers.choice import scorer_of
from modelops.evaluation.scorers.interface import MOST_SLOW, Score, ToScore
from modelops.evaluation.time_limit import READ_SECONDS, TooSlow, processor_time_limit
from modelops.grammar import counted
from modelops.workdir import ProgramFailure

Scores = Mapping[Key, Score]
"""The score of each answer by its call. A failed call has none, nor has an answer that is empty or cannot be read."""
NO_SCORE: Final = Score(value=None)
_AT_ONCE, _CHARACTERS_AT_ONCE = 2000, 4_000_000
"""Answers whose texts are in memory at the same time, and the length of these. Scorer tests checks its sandbox once for
so many."""


def score_answers(request: Request, questions: Sequence[Question], answers: Sequence[Answer]) -> Scores:
    """The scores of all answers. An answer that takes too long to read has none.

    Raises ProgramFailure PromptRenderFailed where a `regex` parse takes too long for `MOST_SLOW` answers: then the
    expression is wrong. Raises ProgramFailure of the scorer where it does not work.
    """
    by_example = {question.example: question for question in questions}
    scorer = scorer_of(request)
    scores: dict[Key, Score] = {}
    to_score: dict[Key, ToScore] = {}
    known: dict[Score, Score] = {}
    slow = 0

    def score() -> None:
        """Most scores are equal to another one, and are kept once."""
        for key, found in zip(to_score, scorer.scores(list(to_score.values())), strict=True):
            scores[key] = known.setdefault(found, found)
        to_score.clear()

    characters = 0
    for answer in answers:
        try:
            read = read_answer(request, answer, by_example[answer.example])
        except TooSlow as error:
            slow += 1
            if slow == MOST_SLOW and has_pattern(request):
                raise ProgramFailure(
                    "PromptRenderFailed",
                    f"the AgentModel's spec.prompt.parse takes {error} to read each of {counted(slow, 'answer')}; "
                    "simplify the pattern, so that no group that repeats is repeated",
                ) from error
            continue
        if read is not None:
            to_score[answer.key] = read
            characters += len(read.text)
        if len(to_score) == _AT_ONCE or characters > _CHARACTERS_AT_ONCE:
            score()
            characters = 0
    score()
    return {answer.key: scores.get(answer.key, NO_SCORE) for answer in answers}


def is_success(request: Request, score: Score) -> bool:
    """Whether an answer with this score is a success. Without a score it is none, whatever the threshold is."""
    return score.value is not None and score.value >= float(request.require_scorer().threshold)


def success_of(request: Request, score: Score) -> float:
    """1 for a success and 0 for none. Under a judge it is the score itself, which is 0.5 for a tie."""
    if request.judge_decides:
        return score.value or 0.0
    return float(is_success(request, score))


def readable_answer(request: Request, answer: Answer, question: Question) -> ToScore | None:
    """As `read_answer`; None also where reading takes too long."""
    try:
        return read_answer(request, answer, question)
    except TooSlow:
        return None


def read_answer(request: Request, answer: Answer, question: Question) -> ToScore | None:
    """The answer as a scorer gets it; None where it is empty or cannot be read. Raises TooSlow.

    A text beside a call of a tool is as the model wrote it, since the call is what counts.
    """
    if answer.text is None or answer.is_empty:
        return None
    if answer.calls or question.calls:
        return ToScore(question=question, text=answer.text.strip(), calls=tuple(answer.calls))
    try:
        # Without `prompt.parse` there is nothing that could take long, and a limit takes longer than the rest.
        with processor_time_limit(READ_SECONDS) if request.prompt.parse else nullcontext():
            text = prompts.parse(request.prompt, answer.text)
    except prompts.AnswerError:
        return None
    return ToScore(question=question, text=text) if text.strip() else None
