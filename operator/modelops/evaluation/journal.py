"""The journal of answers, one JSON line each, from which a program that was killed continues."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

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


class AnswerJournal:
    """Answers in memory and on disk. A context manager. An incomplete last line, left by a crash, is dropped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.answers: dict[Key, Answer] = {}

    def __enter__(self) -> Self:
        content = self._path.read_bytes() if self._path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        for line in whole.splitlines():
            answer = Answer(**json.loads(line))
            self.answers[answer.key] = answer
        self._file = self._opened()
        self._file.truncate(len(whole))
        self._file.seek(0, os.SEEK_END)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, answer: Answer) -> None:
        """Add an answer and write it to disk."""
        self.answers[answer.key] = answer
        self._file.write(_line(answer))
        self._file.flush()

    def drop(self, which: Callable[[Answer], bool]) -> None:
        """Remove answers, so that their calls are made again. The others were paid for: a crash loses none of them."""
        kept = {key: answer for key, answer in self.answers.items() if not which(answer)}
        new = self._path.with_name(f".{self._path.name}.new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.writelines(map(_line, kept.values()))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
        self._file.close()
        self._file, self.answers = self._opened(), kept
        self._file.seek(0, os.SEEK_END)

    def _opened(self) -> BinaryIO:
        return os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")


def _line(answer: Answer) -> bytes:
    return json.dumps(asdict(answer), sort_keys=True).encode() + b"\n"
