"""The texts of an example by their fields, so that a message can name the field: `inputs.messages[1].content`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from modelops.datasets.download import Example


def texts_by_field(example: Example) -> Iterator[tuple[str, str]]:
    """Every text of inputs and outputs, in the example's order."""
    yield from _texts(example.inputs, "inputs")
    yield from _texts(example.outputs, "outputs")


def field_with(example: Example, is_wanted: Callable[[str], bool]) -> str:
    """The first field whose text is wanted; where none is, a text that the prompt contract made has it."""
    fields = (field for field, text in texts_by_field(example) if is_wanted(text))
    return next(fields, "the prompt that spec.prompt makes of it")


def empty_output(example: Example) -> str:
    """The first field of the outputs whose text is empty, `outputs.text`; `outputs` where none is."""
    return next((field for field, text in _texts(example.outputs, "outputs") if not text.strip()), "outputs")


def invalid_text(example: Example) -> str | None:
    """What is wrong with the first field whose text is not valid Unicode; None where all are valid.

    JSON can write half of a surrogate pair. No encoding has it, so such a text cannot be stored or tokenised.
    """
    for field, text in texts_by_field(example):
        try:
            text.isascii() or text.encode()
        except UnicodeEncodeError:
            return (
                f"{field} is not valid Unicode: it has half of a surrogate pair; write the character itself"
            )
    return None


def _texts(value: Any, field: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield field, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield f"a key of {field}", str(key)
            yield from _texts(inner, f"{field}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts(inner, f"{field}[{number}]")
