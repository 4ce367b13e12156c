"""The answers so far, one JSON line each: what a killed program goes on from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from modelops.evaluation.request import ArmName

Key = tuple[ArmName, str, int]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one model said to one question; `text` is None where the call failed and `error` says how.

    `started` is Unix seconds; `latency_ms` is the last attempt's alone, without waits between attempts.
    """

    arm: ArmName
    example: str
    repetition: int
    started: float
    latency_ms: float
    attempts: int
    text: str | None = None
    error: str | None = None
    finish: str | None = None
    model: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: str | None = None

    @property
    def key(self) -> Key:
        """What was asked: arm, example, repetition."""
        return self.arm, self.example, self.repetition


class Journal:
    """Answers in memory and on disk. A last line that a crash cut short is dropped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.answers: dict[Key, Answer] = {}

    def __enter__(self) -> Self:
        content = self._path.read_bytes() if self._path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        for line in whole.splitlines():
            answer = Answer(**json.loads(line))
            self.answers[answer.key] = answer
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        self._file = os.fdopen(descriptor, "r+b")
        self._file.truncate(len(whole))
        self._file.seek(0, os.SEEK_END)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, answer: Answer) -> None:
        """Keep an answer; it survives this process from here on."""
        self.answers[answer.key] = answer
        self._file.write(json.dumps(asdict(answer), sort_keys=True).encode() + b"\n")
        self._file.flush()

    def forget(self, which: Callable[[Answer], bool]) -> None:
        """Drop answers, so that they are asked for again."""
        kept = [answer for answer in self.answers.values() if not which(answer)]
        self.answers = {}
        self._file.seek(0)
        self._file.truncate()
        for answer in kept:
            self.add(answer)
