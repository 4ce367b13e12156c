"""The scorer `tests`: the code in an answer passes the example's own tests, which run in a sandbox."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from modelops.code_tests.examples import CodeExample, ExampleError
from modelops.code_tests.in_pod import PodTests, PodTestsWanted
from modelops.code_tests.runner_process import Job, Verdict
from modelops.code_tests.sandbox import Sandbox, opened
from modelops.code_tests.shells import SandboxRefused, is_in_pod
from modelops.evaluation.question import Question
from modelops.evaluation.scorers.interface import Score, ToScore
from modelops.evaluation.time_limit import READ_SECONDS, TooSlow, processor_time_limit
from modelops.grammar import counted, verb
from modelops.workdir import ProgramFailure

MOST_LEFT_OUT: Final = 0.2
"""Share of the examples whose tests prove nothing, above which the dataset is refused: the rest would be a choice."""
_NAMED: Final = 3
"""Examples that a message names."""


@dataclass(frozen=True, kw_only=True)
class _Tested:
    """A question with its tests, and the programs that must pass and fail them."""

    question: Question
    reference: Job
    stub: Job


class CodeTests:
    """1 where the code in the answer passes the example's tests, else 0.

    A question is kept where its expected answer passes its tests, and a program that does nothing fails them.
    """

    name = "tests"

    def fault(self, question: Question) -> str | None:  # noqa: ARG002 - an example without tests is left out and counted
        """See Scorer."""
        return None

    def select(self, questions: Sequence[Question], findings: list[str]) -> list[Question]:
        """See Scorer. Raises ProgramFailure CodeTestsRefused without a sandbox, DatasetShapeInvalid for bad tests."""
        with _sandbox() as sandbox:
            wrong: list[str] = []
            tested = list(_tested(questions, wrong))
            jobs = [job for one in tested for job in (one.reference, one.stub)]
            verdicts = sandbox.run(jobs)
            kept = []
            for one, reference, stub in zip(tested, verdicts[::2], verdicts[1::2], strict=True):
                problem = _problem(reference, stub)
                if problem:
                    wrong.append(f"{one.question.example}: {problem}")
                else:
                    kept.append(one.question)
            if sandbox.facts:
                findings.append(_described(sandbox))
        if len(wrong) > MOST_LEFT_OUT * len(questions):
            raise ProgramFailure(
                "DatasetShapeInvalid",
                f"{counted(len(wrong), 'example', of=len(questions))} cannot be judged by scorer tests, such as "
                f"{_first(wrong)}. Correct these examples, or choose another spec.evaluation.scorer",
            )
        if wrong:
            left_out, them = verb(len(wrong), "was", "were"), verb(len(wrong), "it", "them")
            findings.append(
                f"{counted(len(wrong), 'example', of=len(questions))} {left_out} left out, because scorer tests cannot "
                f"judge {them}, such as {_first(wrong)}"
            )
        return kept

    def scores(self, answers: Sequence[ToScore]) -> list[Score]:
        """See Scorer. Raises ProgramFailure CodeTestsRefused where the sandbox does not work any more."""
        jobs: list[Job | None] = [_job(answer) for answer in answers]
        with _sandbox() as sandbox:
            verdicts = iter(sandbox.run([job for job in jobs if job is not None]))
        return [
            _score(next(verdicts)) if job else Score(value=0.0, comment="takes too long to read")
            for job in jobs
        ]


WANTED: Final = "CodeTestsWanted"
"""Reason of a program that goes on once a Pod has run the tests that it asks for; the operator sees to that."""


@contextmanager
def _sandbox() -> Iterator[Sandbox | PodTests]:
    """Raises ProgramFailure CodeTestsRefused; CodeTestsWanted where a Pod must run the tests first."""
    try:
        if is_in_pod(os.environ):
            yield PodTests.of(os.environ)
        else:
            with opened(os.environ) as sandbox:
                yield sandbox
    except PodTestsWanted as wanted:
        raise ProgramFailure(
            WANTED,
            f"{counted(wanted.jobs, 'program')} must be run with their tests",
            transient=True,
            details={"code_tests": {"digest": wanted.digest, "jobs": wanted.jobs}},
        ) from wanted
    except SandboxRefused as refused:
        raise ProgramFailure(
            "CodeTestsRefused", f"spec.evaluation.scorer tests cannot be used here: {refused}"
        ) from refused


def _tested(questions: Sequence[Question], wrong: list[str]) -> Iterator[_Tested]:
    """The questions that have tests; the others are named in `wrong`."""
    for question in questions:
        try:
            with processor_time_limit(READ_SECONDS):
                example = _example(question)
                reference, stub = example.program(question.target), example.stub(question.target)
        except (ExampleError, TooSlow) as error:
            wrong.append(f"{question.example}: {error}")
            continue
        yield _Tested(
            question=question,
            reference=Job(code=reference, tests=example.tests),
            stub=Job(code=stub, tests=example.tests),
        )


def _example(question: Question) -> CodeExample:
    """Raises ExampleError."""
    return CodeExample.of(question.inputs, question.outputs, reference=question.target)


def _problem(reference: Verdict, stub: Verdict) -> str:
    """Why the tests of an example prove nothing; empty where they do."""
    if not reference.ok:
        return f"its expected answer fails its own tests ({reference.why})"
    if stub.ok:
        return "its tests pass for a program that does nothing: call at their end what they only define"
    return ""


def _job(answer: ToScore) -> Job | None:
    """What is run; None where the answer takes too long to read."""
    try:
        with processor_time_limit(READ_SECONDS):
            example = _example(answer.question)
            return Job(code=example.program(answer.text), tests=example.tests)
    except TooSlow:
        return None


def _score(verdict: Verdict) -> Score:
    return Score(value=float(verdict.ok), comment=verdict.why)


_REACHES: Final = {
    "open": "; the cluster's network lets that Pod reach others in spite of its NetworkPolicy, so only the inner "
    "layer keeps answers from it"
}
"""What is said of the network of the Pod, by what its program found."""


def _described(sandbox: Sandbox | PodTests) -> str:
    """What the sandbox was, for the record."""
    facts = sandbox.facts
    around = {
        "bubblewrap": "bubblewrap",
        "pod": "a Pod of its own without tokens",
        "inner": "the inner layer alone, without namespaces of its own (MODELOPS_CODE_TESTS=inner)",
    }[facts["shell"]]
    return (
        f"scorer tests ran code in {around}, with Landlock {facts['landlock']} and Python {facts['python']}; all "
        f"{facts['checks']} checks of the sandbox held" + _REACHES.get(facts.get("network", ""), "")
    )


def _first(wrong: Sequence[str]) -> str:
    return "; ".join(wrong[:_NAMED]) + (" ..." if len(wrong) > _NAMED else "")
