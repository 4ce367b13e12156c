"""The journal of answers, one JSON line each, from which a program that was killed continues."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self

from modelops.evaluation.line_journal import LineJournal
from modelops.evaluation.reply import CallResult, Reply
from modelops.evaluation.request import ArmName

Key = tuple[ArmName, str, int]


@dataclass(frozen=True, kw_only=True)
class Answer(CallResult):
    """The answer of one model to one question."""

    arm: ArmName
    example: str
    repetition: int

    @classmethod
    def of(cls, reply: Reply, *, arm: ArmName, example: str, repetition: int) -> Self:
        """The answer that a reply gives to a call."""
        kept = {field.name: getattr(reply, field.name) for field in fields(CallResult)}
        return cls(arm=arm, example=example, repetition=repetition, **kept)

    @property
    def key(self) -> Key:
        """The call that was answered: arm, example and repetition."""
        return self.arm, self.example, self.repetition

    @property
    def is_empty(self) -> bool:
        """Whether it has neither a text nor a call of a tool."""
        return not (self.text or "").strip() and not self.calls


class AnswerJournal(LineJournal):
    """Answers in memory and on disk."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, lambda line: self._add(Answer(**line)))
        self.answers: dict[Key, Answer] = {}

    def add(self, answer: Answer) -> None:
        """Add an answer and write it to disk."""
        self._add(answer)
        self.write(asdict(answer))

    def drop(self, which: Callable[[Answer], bool]) -> None:
        """Remove answers, so that their calls are made again. The others were paid for: a crash loses none of them."""
        kept = {key: answer for key, answer in self.answers.items() if not which(answer)}
        self.replace(map(asdict, kept.values()))
        self.answers = kept

    def _add(self, answer: Answer) -> None:
        self.answers[answer.key] = answer
