"""The looks of an evaluation: one at all questions, or two that were declared before the first answer.

The order of the questions is fixed by a hash of each example, so the second look contains the first one, and asks only
about the rest. What the first look decided is written down before the second one begins: after a crash it stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from modelops.domain.gates.evaluation_plan import planned_look
from modelops.domain.gates.two_looks import (
    FEWEST_EXAMPLES,
    LEAST_FACTOR,
    MOST_FACTOR,
    SECOND_LOOK,
    two_looks,
)
from modelops.domain.gates.verdict import Verdict
from modelops.evaluation.outcome import Outcome
from modelops.evaluation.question import Question
from modelops.evaluation.questions import hash_order
from modelops.evaluation.request import Request
from modelops.evaluation.result import points
from modelops.grammar import counted, verb
from modelops.workdir import ProgramFailure, WorkDir

_FILE: Final = "looks.json"


@dataclass(frozen=True, kw_only=True)
class QuestionsOfLook:
    """One look: its questions, those of the first look included, and the one-sided error probability of a pass."""

    number: int
    of: int
    questions: Sequence[Question]
    alpha: float

    @property
    def stage(self) -> str:
        """What the program does in this look, for its progress."""
        return SECOND_LOOK if self.number > 1 else "asking"


def looks_of(request: Request, questions: Sequence[Question]) -> tuple[QuestionsOfLook, ...]:
    """The looks at these questions. Raises ProgramFailure TopUpTooSmall where too few are left for the second one."""
    if request.top_up_examples is None or request.max_examples is None:
        alpha = float(request.alpha)
        return (QuestionsOfLook(number=1, of=1, questions=questions, alpha=alpha),)
    first = set(map(hash_order, sorted(questions, key=hash_order)[: request.max_examples]))
    begin = [question for question in questions if hash_order(question) in first]
    _require_further(request, first=len(begin), both=len(questions))
    both = two_looks(len(begin), len(questions), alpha=float(request.alpha))
    return tuple(
        QuestionsOfLook(number=number, of=2, questions=asked, alpha=look.alpha)
        for number, (asked, look) in enumerate(zip((begin, questions), both, strict=True), start=1)
    )


def first_look_examples(looks: Sequence[QuestionsOfLook]) -> int | None:
    """The examples of the first of two looks; None where there is only one."""
    return len(looks[0].questions) if len(looks) > 1 else None


def look_findings(request: Request, looks: Sequence[QuestionsOfLook]) -> list[str]:
    """That the second look has fewer examples than were asked for."""
    both, asked = len(looks[-1].questions), request.top_up_examples
    if len(looks) == 1 or asked is None or both >= asked:
        return []
    return [
        f"the second look has {counted(both, 'example', of=asked)} (topUp.maxExamples): the dataset has no more that "
        "can be used"
    ]


def earlier_results(work: WorkDir) -> list[dict[str, Any]]:
    """The looks that were taken before this start and decided nothing."""
    return list(work.read(_FILE) or ())


def keep_results(work: WorkDir, results: Sequence[dict[str, Any]]) -> None:
    """Write down what the looks found, before the next one begins."""
    work.write(_FILE, list(results))


def look_result(look: QuestionsOfLook, outcome: Outcome) -> dict[str, Any]:
    """One entry of `looks` in `result.json`."""
    return {
        **planned_look(look.alpha, examples=outcome.n).wire(),
        "differencePoints": points(outcome.difference),
        "intervalPoints": [points(outcome.interval.low), points(outcome.interval.high)],
        "verdict": outcome.verdict.value,
    }


def is_open(outcome: Outcome) -> bool:
    """Whether another look may decide."""
    return outcome.verdict is Verdict.INCONCLUSIVE


def _require_further(request: Request, *, first: int, both: int) -> None:
    if first >= FEWEST_EXAMPLES and LEAST_FACTOR * first <= both <= MOST_FACTOR * first:
        return
    fitting = int(both / LEAST_FACTOR)
    remedy = f"lower spec.evaluation.maxExamples to {fitting}, " if fitting >= FEWEST_EXAMPLES else ""
    raise ProgramFailure(
        "TopUpTooSmall",
        f"{counted(both, 'example')} {verb(both, 'is', 'are')} left of the {request.top_up_examples} of spec."
        f"evaluation.topUp.maxExamples, and after a first look at {first} a second one takes "
        f"{max(FEWEST_EXAMPLES, first) * LEAST_FACTOR:.0f} or more, those of the first included: add examples to the "
        f"dataset, {remedy}or choose another spec.evaluation.onInconclusive",
    )
