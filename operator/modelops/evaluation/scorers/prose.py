"""The doubt about a scorer for prose whose examples are code."""

from __future__ import annotations

from collections.abc import Sequence

from modelops.domain.gates.answer_forms import TESTS, looks_like_code
from modelops.evaluation.question import Question
from modelops.grammar import counted, verb


def doubt_code(scorer: str, questions: Sequence[Question], findings: list[str]) -> None:
    """Adds a finding where half or more of the expected answers look like code."""
    code = sum(looks_like_code(question.target) for question in questions if not question.calls)
    if code and code * 2 >= len(questions):
        findings.append(
            f"scorer {scorer} is fit for prose only, and {counted(code, 'expected answer', of=len(questions))} "
            f"{verb(code, 'looks', 'look')} like code: a wrong program can share all words and nearly all letters with "
            f"a right one. Use scorer tests with outputs.{TESTS}"
        )
