"""The journal of answers, one JSON line each, from which a program that was killed continues."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

from modelops.datasets.stored_lines import StoredLines
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
        kept = {name: getattr(reply, name) for name in _OF_CALL}
        return cls(arm=arm, example=example, repetition=repetition, **kept)

    @property
    def key(self) -> Key:
        """The call that was answered: arm, example and repetition."""
        return self.arm, self.example, self.repetition

    @property
    def is_empty(self) -> bool:
        """Whether it has neither a text nor a call of a tool."""
        return not (self.text or "").strip() and not self.calls


_OF_CALL: Final = tuple(field.name for field in fields(CallResult))
_WRITTEN: Final = tuple(field.name for field in fields(Answer))
_DEFAULTS: Final = {field.name: field.default for field in fields(Answer) if field.default is not MISSING}
_ON_DISK: Final = ("text", "calls")
"""The fields of an answer that are as long as the model likes."""
_IN_MEMORY: Final = tuple(name for name in _WRITTEN if name not in _ON_DISK)


class StoredAnswer(Answer):
    """An answer whose text and calls of tools are read from the journal's file when they are used.

    So an evaluation of many examples needs memory for their numbers only.
    """

    __slots__ = (*_IN_MEMORY, "_is_empty", "_key", "_lines", "_offset")
    _is_empty: bool
    _key: Key
    _lines: StoredLines
    _offset: int

    def __init__(self, document: Mapping[str, Any], key: Key, *, lines: StoredLines, offset: int) -> None:
        for name in _IN_MEMORY:
            object.__setattr__(self, name, document[name])
        arm, example, repetition = key
        for name, value in (
            *(("arm", arm), ("example", example), ("repetition", repetition)),
            *(("_key", key), ("_lines", lines), ("_offset", offset)),
            ("_is_empty", not (document["text"] or "").strip() and not document["calls"]),
        ):
            object.__setattr__(self, name, value)

    @property
    def text(self) -> str | None:
        """See CallResult."""
        found: str | None = self._lines.read(self._offset)["text"]
        return found

    @property
    def calls(self) -> Sequence[Mapping[str, Any]]:
        """See CallResult."""
        found: Sequence[Mapping[str, Any]] = self._lines.read(self._offset)["calls"]
        return found

    @property
    def key(self) -> Key:
        """See Answer."""
        return self._key

    @property
    def is_empty(self) -> bool:
        """See Answer."""
        return self._is_empty


class AnswerJournal(LineJournal):
    """Answers on disk, and what is counted of them in memory."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, self._add)
        self.answers: dict[Key, Answer] = {}
        self._known: dict[str, str] = {}
        self._lines: StoredLines

    def _opened(self) -> BinaryIO:
        file = super()._opened()
        self._lines = StoredLines(self._path)
        return file

    def add(self, answer: Answer) -> None:
        """Add an answer and write it to disk."""
        document = _document(answer)
        self._add(document, self.write(document))

    def drop(self, which: Callable[[Answer], bool]) -> None:
        """Remove answers, so that their calls are made again. The others were paid for: a crash loses none of them."""
        kept = [answer for answer in self.answers.values() if not which(answer)]
        before, self.answers = self.answers, {}
        try:
            self.replace(map(_document, kept))
        except BaseException:
            self.answers = before
            raise

    def _add(self, document: Mapping[str, Any], offset: int) -> None:
        """Texts that many answers share, such as the model's name, are kept once."""
        shared = {name: self._once(document.get(name)) for name in ("arm", "cost_usd", "finish", "model")}
        document = {**_DEFAULTS, **document, **shared}
        key = document["arm"], self._once(document["example"]), document["repetition"]
        self.answers[key] = StoredAnswer(document, key, lines=self._lines, offset=offset)

    def _once(self, text: Any) -> Any:
        return self._known.setdefault(text, text) if isinstance(text, str) else text


def _document(answer: Answer) -> dict[str, Any]:
    return {name: getattr(answer, name) for name in _WRITTEN}
