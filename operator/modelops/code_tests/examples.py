"""An example whose answers are judged by tests: what the task is, and what runs after the answer's code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelops.code_tests.programs import defined_last, program, stub, task_code

TASKS = ("prompt", "task")
TESTS = ("tests", "test")
ENTRY_POINT = "entry_point"


class ExampleError(ValueError):
    """The example has no tests that can be run; the message says what is wrong with which field."""


@dataclass(frozen=True, kw_only=True)
class CodeExample:
    """The task's text, the tests as a program, and the name that they test; the name may be empty."""

    task: str
    tests: str
    entry_point: str

    @classmethod
    def of(cls, inputs: Mapping[str, Any], outputs: Mapping[str, Any], *, reference: str) -> CodeExample:
        """Reads HumanEval's form: the task in `inputs`, `tests` in `outputs`, `entry_point` in either.

        `reference` is the expected answer, whose last definition is tested where nothing else names one. Tests that
        only define `check(candidate)` are followed by a call of it. Raises ExampleError.
        """
        task = next((value for name in TASKS if isinstance(value := inputs.get(name), str)), None)
        if task is None:
            texts = [value for value in inputs.values() if isinstance(value, str)]
            task = texts[0] if len(texts) == 1 else ""
        named = next(
            (value for part in (outputs, inputs) if isinstance(value := part.get(ENTRY_POINT), str)),
            "",
        )
        entry_point = named or defined_last(task_code(task)) or defined_last(program(task, reference))
        if entry_point and not entry_point.isidentifier():
            raise ExampleError(f"its {ENTRY_POINT} {entry_point[:60]!r} is no name of Python")
        return cls(task=task, tests=_tests(outputs, entry_point), entry_point=entry_point)

    def program(self, answer: str) -> str:
        """The code that an answer means."""
        return program(self.task, answer, entry_point=self.entry_point)

    def stub(self, reference: str) -> str:
        """A program that does nothing in place of the reference's."""
        return stub(self.entry_point, self.program(reference))


def _tests(outputs: Mapping[str, Any], entry_point: str) -> str:
    given = next((outputs[name] for name in TESTS if outputs.get(name)), None)
    if isinstance(given, list | tuple) and all(isinstance(line, str) for line in given):
        given = "\n".join(given)
    if not isinstance(given, str) or not given.strip():
        raise ExampleError("its outputs.tests is not there, or is neither a text nor a list of texts")
    defines = re.search(r"^def[ ]+check[ ]*\(", given, re.MULTILINE)
    if defines and entry_point and not re.search(r"^check[ ]*\(", given, re.MULTILINE):
        return f"{given}\n\ncheck({entry_point})\n"
    return given
