"""The scorer that a Rollout asks for, and a suggestion where it asks for none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from modelops.api.v1alpha1.scorer import ScorerType
from modelops.domain.gates.answer_forms import TESTS, Expected, has_tests, suggest
from modelops.evaluation.question import Question
from modelops.evaluation.scorers.chrf import ChrF
from modelops.evaluation.scorers.code_tests import CodeTests
from modelops.evaluation.scorers.interface import Scorer
from modelops.evaluation.scorers.judge import Judge
from modelops.evaluation.scorers.own import Own
from modelops.evaluation.scorers.texts import Exact, Json, Regex, TokenF1
from modelops.evaluation.scorers.with_calls import WithCalls
from modelops.grammar import counted, verb
from modelops.workdir import ProgramFailure

if TYPE_CHECKING:
    from modelops.evaluation.request import Request

_BUILT_IN: Final[Mapping[ScorerType, Callable[[], Scorer]]] = {
    ScorerType.EXACT: Exact,
    ScorerType.JSON: Json,
    ScorerType.REGEX: Regex,
    ScorerType.TOKEN_F1: TokenF1,
    ScorerType.CHRF: ChrF,
    ScorerType.TESTS: CodeTests,
}
"""What makes each scorer of texts. Calls of tools are compared beside them, by WithCalls."""


def scorer_of(request: Request) -> Scorer:
    """The scorer of the evaluation. Raises ProgramFailure where it is a team's own and cannot be had."""
    rule = request.require_scorer()
    if rule.type is ScorerType.CUSTOM:
        return Own(rule.name or "")
    if rule.type is ScorerType.JUDGE:
        return Judge()
    return WithCalls(_BUILT_IN[rule.type]())


def require_scorer(request: Request, questions: Sequence[Question]) -> None:
    """Raises ProgramFailure ScorerMissing where the Rollout names no scorer; the message suggests one that fits."""
    if request.scorer is not None:
        return
    found = suggest(
        [Expected(text=one.target, outputs=one.outputs, calls=bool(one.calls)) for one in questions]
    )
    threshold = f', threshold: "{found.threshold}"' if found.threshold else ""
    raise ProgramFailure(
        "ScorerMissing",
        "nothing says how answers are scored, because spec.langsmith.scorer of the AgentModel names no scorer, either. "
        f"Of the {counted(len(questions), 'expected answer')} in {request.dataset} most {found.described}: write "
        f"scorer: {{type: {found.type.value}{threshold}}} into one of the two fields"
        + (f". {found.advice}" if found.advice else ""),
    )


def select(scorer: Scorer, questions: Sequence[Question], findings: list[str]) -> list[Question]:
    """The questions that the scorer can score; what it does not look at becomes a finding."""
    tested = sum(has_tests(question.outputs) for question in questions)
    if tested and scorer.name != ScorerType.TESTS.value:
        findings.append(
            f"{counted(tested, 'example', of=len(questions))} {verb(tested, 'has', 'have')} outputs.{TESTS}, which "
            f"scorer {scorer.name} does not run. Scorer tests does"
        )
    return scorer.select(questions, findings)
