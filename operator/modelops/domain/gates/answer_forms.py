"""What form the expected answers of a dataset have, from which the scorer that fits them follows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from modelops.api.v1alpha1.scorer import ScorerType
from modelops.domain.answer_json import UnreadableJsonError, read_json

TESTS: Final = "tests"
"""The key of outputs that has an example's own tests."""
MOST_LABEL_WORDS, MOST_LABEL_LETTERS = 3, 40
_FENCE = re.compile(r"^\s*```", re.MULTILINE)
_SENTENCE = re.compile(r"(?<![^\W\d_])[^\W\d_]+(?:,? [^\W\d_]+){3}")
"""Four words in a row, which a line of code has in its comments and texts only. It is not looked for from the middle of
a word, which would take the square of the length of a long one."""
_COMMENT_OR_TEXT = re.compile(r"""(?:#|//|--).*|"[^"]*"|'[^']*'""")
_STATEMENT = re.compile(
    r"^\s*(?:(?:async\s+)?def|class|return|import|from|if|elif|else|for|while|try|except|with|raise|assert|lambda|func|"
    r"function|const|let|var|public|private|static|fn|impl|package|use|select|insert|update|delete|create)\b",
    re.IGNORECASE,
)
_CODE_ENDS = re.compile(r"[;{}]\s*$")
_CODE_MARK = re.compile(r"\w\s*(?::=|=>|->|[-+*/%&|^<>=!]?=|<<|>>|&&|\|\|| [-+*/%^<>] )\s*\S|\w\(|\w\[\w")


class Form(StrEnum):
    """The forms that expected answers can have."""

    CALLS = "calls"
    TESTED = "tested"
    JSON = "json"
    CODE = "code"
    LABEL = "label"
    PROSE = "prose"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The expected answer of one example: its text, its outputs, and whether it calls tools."""

    text: str
    outputs: Mapping[str, Any]
    calls: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """The scorer that fits, and what most of the expected answers are. `threshold` is None where it is 1."""

    type: ScorerType
    described: str
    threshold: str | None = None
    advice: str = ""
    """What a person should do beside that; a sentence, or empty."""


_TODAYS_ANSWERS: Final = "Choose the threshold with some answers of today's model"
_SUGGESTIONS: Final[Mapping[Form, Suggestion]] = {
    Form.CALLS: Suggestion(type=ScorerType.EXACT, described="are calls of tools"),
    Form.TESTED: Suggestion(type=ScorerType.TESTS, described=f"have tests (outputs.{TESTS})"),
    Form.JSON: Suggestion(type=ScorerType.JSON, described="are JSON"),
    Form.CODE: Suggestion(
        type=ScorerType.CHRF,
        threshold="0.9",
        described="look like code without tests",
        advice=f"Better, add tests to the examples (outputs.{TESTS}) and write type: tests",
    ),
    Form.LABEL: Suggestion(type=ScorerType.EXACT, described="are short labels"),
    Form.PROSE: Suggestion(
        type=ScorerType.CHRF, threshold="0.5", described="are prose", advice=_TODAYS_ANSWERS
    ),
}


def suggest(expected: Sequence[Expected]) -> Suggestion:
    """The scorer that fits the expected answers, which are not empty."""
    return _SUGGESTIONS[form_of(expected)]


def form_of(expected: Sequence[Expected]) -> Form:
    """The form of most of the expected answers; JSON only where all are."""
    texts = [one.text for one in expected if not one.calls]
    if len(texts) * 2 < len(expected):
        return Form.CALLS
    if _most(has_tests(one.outputs) for one in expected):
        return Form.TESTED
    if all(map(_is_json, texts)):
        return Form.JSON
    if _most(map(looks_like_code, texts)):
        return Form.CODE
    return Form.LABEL if _most(map(_is_label, texts)) else Form.PROSE


def has_tests(outputs: Mapping[str, Any]) -> bool:
    """Whether the example brings tests of its own."""
    return bool(outputs.get(TESTS))


def looks_like_code(text: str) -> bool:
    """Whether most lines of the text are statements of a programming language, or it has a Markdown fence."""
    if _FENCE.search(text):
        return True
    lines = [line for line in text.splitlines() if line.strip()]
    return bool(lines) and _most(map(_is_code_line, lines))


def _is_code_line(line: str) -> bool:
    bare = _COMMENT_OR_TEXT.sub("", line)
    if not bare.strip():
        return line.lstrip().startswith(("#", "//", '"', "'"))
    if _CODE_ENDS.search(bare):
        return True
    if _SENTENCE.search(bare):
        return False
    return bool(
        _CODE_MARK.search(bare) or (_STATEMENT.match(bare) and not bare.rstrip().endswith((".", "!", "?")))
    )


def _is_json(text: str) -> bool:
    """Whether it is an object or a list: a number or a word may be a label."""
    try:
        return isinstance(read_json(text), dict | list)
    except UnreadableJsonError:
        return False


def _is_label(text: str) -> bool:
    return (
        len(text) <= MOST_LABEL_LETTERS
        and len(text.split()) <= MOST_LABEL_WORDS
        and not text.endswith((".", "。"))
    )


def _most(found: Iterable[bool]) -> bool:
    answers = list(found)
    return sum(answers) * 2 > len(answers)
