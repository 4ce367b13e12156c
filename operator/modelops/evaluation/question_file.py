"""The questions of an evaluation on disk: in memory are the examples' ids."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from modelops.datasets.line_file import LineFile
from modelops.datasets.stored_lines import StoredLines
from modelops.domain.chat_messages import Message
from modelops.evaluation.question import Question

_FIELDS: Final = tuple(field.name for field in fields(Question))


class StoredQuestion(Question):
    """A question that is read from its file when it is used."""

    __slots__ = ("_lines", "_offset", "example")
    _lines: StoredLines
    _offset: int

    def __init__(self, example: str, *, lines: StoredLines, offset: int) -> None:
        for name, value in (("example", example), ("_lines", lines), ("_offset", offset)):
            object.__setattr__(self, name, value)

    def _read(self, name: str) -> Any:
        return self._lines.read(self._offset)[name]

    @property
    def inputs(self) -> Mapping[str, Any]:
        """See Question."""
        found: Mapping[str, Any] = self._read("inputs")
        return found

    @property
    def messages(self) -> tuple[Message, ...]:
        """See Question."""
        return tuple(self._read("messages"))

    @property
    def target(self) -> str:
        """See Question."""
        return str(self._read("target"))

    @property
    def outputs(self) -> Mapping[str, Any]:
        """See Question."""
        found: Mapping[str, Any] = self._read("outputs")
        return found

    @property
    def tools(self) -> tuple[Mapping[str, Any], ...]:
        """See Question."""
        return tuple(self._read("tools"))

    @property
    def calls(self) -> tuple[Mapping[str, Any], ...]:
        """See Question."""
        return tuple(self._read("calls"))

    @property
    def metadata(self) -> Mapping[str, Any]:
        """See Question."""
        found: Mapping[str, Any] = self._read("metadata")
        return found


class QuestionFile:
    """A new file of questions, which is written by one program and read by it."""

    def __init__(self, path: Path) -> None:
        self._file = LineFile(path)
        self._lines = StoredLines(path)

    def stored(self, question: Question) -> StoredQuestion:
        """The question, whose content is now in the file."""
        line = json.dumps({name: getattr(question, name) for name in _FIELDS}).encode() + b"\n"
        return StoredQuestion(question.example, lines=self._lines, offset=self._file.append(line))

    def close(self) -> None:
        """Write everything to the disk. The questions are readable from now on."""
        self._file.__exit__(None, None, None)
