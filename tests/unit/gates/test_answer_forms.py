"""Which scorer fits a dataset, by the form of its expected answers."""

import time
from typing import Any

import pytest

from modelops.demo.stdlib_examples import read_examples
from modelops.domain.gates.answer_forms import Expected, looks_like_code, suggest

PROSE = [
    "Return the size of a file, reported by os.stat().",
    "Removes the entry, and returns whether there was one.",
    "Run callback (a function) with args.",
]
CODE = [
    "def add(x, y):\n    return x + y",
    "return x << 1",
    "SELECT name FROM users WHERE id = 3;",
    "for (let i = 0; i < n; i++) {\n  sum += a[i];\n}",
    "func Add(x int, y int) int {\n\treturn x + y\n}",
    "```python\nprint(1)\n```",
    "import os",
]


def expected(*texts: str, calls: bool = False, **outputs: Any) -> list[Expected]:
    return [Expected(text=text, outputs=outputs, calls=calls) for text in texts]


@pytest.mark.parametrize(
    ("answers", "scorer", "described"),
    [
        (expected('{"a": 1}', "[1, 2]"), "json", "JSON"),
        (expected(*CODE, tests="assert add(1, 2) == 3"), "tests", "tests"),
        (expected("", "", calls=True), "exact", "calls"),
        (expected("yes", "no", "yes", "not sure"), "exact", "labels"),
        (expected("1", "42", "-3.5"), "exact", "labels"),
        (expected(*PROSE), "chrF", "prose"),
        (
            expected("返回文件的大小，以字节为单位，如果文件不存在则引发错误。", "ファイルのサイズを返す。"),
            "chrF",
            "prose",
        ),
        (expected(*CODE), "chrF", "code"),
        (expected('{"a": 1}', "I do not know what the value is."), "chrF", "prose"),
    ],
)
def test_the_form_of_the_expected_answers_suggests_the_scorer(
    answers: list[Expected], scorer: str, described: str
) -> None:
    found = suggest(answers)
    assert found.type == scorer
    assert described in found.described


@pytest.mark.parametrize("text", CODE)
def test_code_looks_like_code(text: str) -> None:
    assert looks_like_code(text)


@pytest.mark.parametrize("text", [*PROSE, "yes", "Paris", "", "-3.5", "文件的大小"])
def test_prose_and_labels_do_not(text: str) -> None:
    assert not looks_like_code(text)


def test_of_real_functions_code_and_docstrings_are_told_apart() -> None:
    examples = read_examples(limit=300)
    docstrings = [looks_like_code(one.docstring) for one in examples]
    sources = [looks_like_code(one.task) for one in examples]
    assert sum(docstrings) < 0.05 * len(docstrings)
    assert sum(sources) > 0.8 * len(sources)


def test_a_long_word_is_read_in_time() -> None:
    """An encoded picture is one line without a space. Looking for a sentence from each letter of it takes hours."""
    began = time.process_time()
    assert not looks_like_code("a" * 300_000)
    assert time.process_time() - began < 2
