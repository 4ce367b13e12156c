"""The program that an answer means, in the forms in which models give code; and what an example's tests are."""

import textwrap
from typing import Any

import pytest

from modelops.code_tests.examples import CodeExample, ExampleError
from modelops.code_tests.programs import program, stub
from modelops.evaluation.time_limit import READ_SECONDS, processor_time_limit

TASK = '''from typing import List


def total(numbers: List[int]) -> int:
    """The sum of the numbers.

    >>> total([1, 2])
    3
    """
'''
BODY = "    result = 0\n    for n in numbers:\n        result += n\n    return result\n"
WHOLE = "def total(numbers: List[int]) -> int:\n" + BODY
PROSE = "Write a function total(numbers) that returns the sum of the numbers."


def result_of(code: str, name: str = "total") -> Any:
    space: dict[str, Any] = {}
    exec(compile(code, "<answer>", "exec", dont_inherit=True), space)
    return space[name]([1, 2, 3])


FORMS = {
    "body": BODY,
    "body whose first indentation was stripped": BODY.strip(),
    "dedented body": textwrap.dedent(BODY),
    "whole function without the imports": WHOLE,
    "whole task": TASK + BODY,
    "fenced": f"```python\n{WHOLE}```\n",
    "fenced, of no language": f"```\n{WHOLE}```",
    "fenced body": f"```python\n{BODY}```",
    "fence that never ends": f"Here it is:\n\n```python\n{WHOLE}",
    "indented fence in a list": textwrap.indent(f"```python\n{WHOLE}```\n", "   "),
    "two fences, the longer one without the function": f"```python\n{WHOLE}```\nUse it:\n```python\n"
    + "print(total([1]))\n" * 40
    + "```",
    "fence of another language before it": f"```sh\npython3 total.py and a long line of words\n```\n```python\n{WHOLE}```",
    "words around it without a fence": f"Sure! This is the function:\n\n{WHOLE}\nIt adds all numbers.",
    "cut off behind the function": f"{WHOLE}\n\ndef another(x):\n    return (x +",
    "body, and more that is cut off": f"{BODY}\n\nprint(total([1, 2]",
    "line ends of Windows": f"```python\r\n{WHOLE}```".replace("\n", "\r\n").replace("\r\r", "\r"),
    "an alias": "def add(numbers):\n    return sum(numbers)\n\ntotal = add\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_answer_in_each_form_is_the_same_function(form: str) -> None:
    assert result_of(program(TASK, FORMS[form], entry_point="total")) == 6


@pytest.mark.parametrize("form", ["whole task", "fenced without the type", "an alias"])
def test_task_in_words_needs_a_whole_function(form: str) -> None:
    answers = {
        **FORMS,
        "fenced without the type": "```python\ndef total(numbers):\n    return sum(numbers)\n```",
    }
    assert result_of(program(PROSE, answers[form], entry_point="total")) == 6


def test_helpers_of_the_task_stay_before_the_function() -> None:
    task = "def twice(x):\n    return 2 * x\n\ndef total(numbers):\n    '''Twice the sum.'''\n"
    assert result_of(program(task, "def total(numbers):\n    return twice(sum(numbers))\n")) == 12


def test_fenced_task_with_words_is_continued() -> None:
    task = f"Complete this function:\n\n```python\n{TASK}```\n"
    assert result_of(program(task, BODY, entry_point="total")) == 6


@pytest.mark.parametrize("answer", ["", "I cannot do that.", "```python\ndef total(:\n```", "(" * 5000, "\0"])
def test_answer_without_python_is_kept_as_it_is(answer: str) -> None:
    code = program(PROSE, answer, entry_point="total")
    with pytest.raises((SyntaxError, ValueError, KeyError, MemoryError, RecursionError)):
        result_of(code)


def test_long_answer_of_white_space_and_fences_is_read_at_once() -> None:
    """The reader takes linear time for what a model may repeat until its answer is cut off."""
    for part in (" " * 40 + "\n", "```\n", "```python\n", "def f():\n", "\n", "(", "total = "):
        with processor_time_limit(READ_SECONDS):
            program(TASK, part * 4000, entry_point="total")


def example(outputs: Any, *, reference: str = BODY, **inputs: Any) -> CodeExample:
    return CodeExample.of(inputs or {"task": TASK}, outputs, reference=reference)


def test_entry_point_is_read_or_found_in_the_task_or_in_the_reference() -> None:
    tests = {"tests": "assert total([1]) == 1"}
    assert example({**tests, "entry_point": "other"}).entry_point == "other"
    assert example(tests).entry_point == "total"
    assert example(tests, reference=WHOLE, prompt=PROSE).entry_point == "total"
    assert CodeExample.of({"entry_point": "named"}, tests, reference="").entry_point == "named"


def test_check_that_is_only_defined_is_called_with_the_entry_point() -> None:
    check = "def check(candidate):\n    assert candidate([1]) == 1\n"
    assert example({"test": check}).tests.endswith("\ncheck(total)\n")
    assert example({"tests": check + "check(total)\n"}).tests.count("check(total)") == 1


def test_tests_may_be_a_list_of_lines() -> None:
    assert example({"tests": ["assert total([]) == 0", "assert total([1]) == 1"]}).tests.count("\n") == 1


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        ({"code": "x"}, "outputs.tests is not there"),
        ({"tests": "  \n"}, "outputs.tests"),
        ({"tests": 5}, "neither a text"),
        ({"tests": ["a", 5]}, "neither a text"),
        ({"tests": "assert 1", "entry_point": "a b"}, "no name of Python"),
    ],
)
def test_unusable_tests_are_named(outputs: Any, says: str) -> None:
    with pytest.raises(ExampleError, match=says):
        example(outputs)


def test_stub_defines_the_name_and_does_nothing() -> None:
    assert result_of(stub("total", WHOLE)) is None
    space: dict[str, Any] = {}
    exec(stub("Stack", "class Stack:\n    pass\n"), space)
    assert isinstance(space["Stack"], type)
    assert stub("", WHOLE) == ""
