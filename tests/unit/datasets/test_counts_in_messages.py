"""Singular and plural are right in every message of the programs and trainers."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import modelops
from modelops.grammar import counted, verb

PACKAGES = ("datasets", "evaluation", "trainers", "trainenv", "crdgen")
FILES = [file for name in PACKAGES for file in sorted((Path(modelops.__file__).parent / name).glob("*.py"))]
NOUNS = "answer|call|duplicate|example|file|line|pair|question|row|run|step|text|token|tool|GPU"
AFTER_A_VALUE = re.compile(rf" (usable |recent )?({NOUNS})s\b(?!/)")


@pytest.mark.parametrize(
    ("number", "of", "text"),
    [
        (1, None, "1 example"),
        (0, None, "0 examples"),
        (3, None, "3 examples"),
        (1, 7, "1 of 7 examples"),
        (3, 7, "3 of 7 examples"),
        (1, 1, "1 of 1 example"),
    ],
)
def test_noun_agrees_with_the_count_or_with_the_whole(number: int, of: int | None, text: str) -> None:
    assert counted(number, "example", of=of) == text


def test_plural_can_be_given() -> None:
    assert counted(2, "near-copy", plural="near-copies") == "2 near-copies"
    assert counted(1, "near-copy", plural="near-copies") == "1 near-copy"


def test_verb_agrees_with_the_count() -> None:
    assert [verb(number, "was", "were") for number in (0, 1, 2)] == ["were", "was", "were"]


def uncounted(source: str) -> Iterator[str]:
    """Values in f-strings with a plural noun after them.

    Constants are accepted, as are words from `verb` and numbers with a thousands separator.
    """
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, after in zip(node.values, node.values[1:], strict=False):
            if not isinstance(value, ast.FormattedValue) or not isinstance(after, ast.Constant):
                continue
            expression = ast.unparse(value.value)
            formatted = value.format_spec is not None and "," in ast.unparse(value.format_spec)
            accepted = expression.isupper() or expression.startswith("verb(") or formatted
            if AFTER_A_VALUE.match(str(after.value)) and not accepted:
                yield f"{{{expression}}}{after.value}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_messages_count_with_counted(file: Path) -> None:
    assert list(uncounted(file.read_text())) == []


def test_a_message_that_ignores_the_singular_is_found() -> None:
    assert list(uncounted('f"{len(x)} examples were left out"')) == ["{len(x)} examples were left out"]
    assert not list(uncounted("f\"{counted(n, 'example')} {verb(n, 'was', 'were')} left out\""))
