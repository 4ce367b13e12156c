"""Whether a judge may decide: its calibration is computed again, from the labels of people and what the judge said.

Nobody has to be believed. The AgentModel has the judge's answers and a digest of all that they hold for; kappa is in no
field. The evaluation asks the judge about a sample of the labelled pairs again (`judge.deciding`), so answers that were
made up would be found out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelops.datasets.download import load_dataset
from modelops.domain.digest import digest_of
from modelops.domain.gates.answer_forms import Expected, Form, form_of
from modelops.domain.gates.kappa import Kappa, cohens_kappa
from modelops.evaluation.judge.calibration import ENOUGH, LEAST_PAIRS, LabelledPair, LabelsError, labels_of
from modelops.evaluation.judge.pairs import Judged
from modelops.evaluation.judge.prompt import PROMPT_DIGEST
from modelops.evaluation.question import Question
from modelops.evaluation.request import CalibrationRule, Request
from modelops.workdir import ProgramFailure, WorkDir

_LETTERS = {"a": "a", "b": "b", "tie": "t"}
_NONE = "-"
_LABELS = {letter: label for label, letter in _LETTERS.items()}
_FORMS = {Form.TESTED: Form.CODE}
"""Forms that a label cannot have, and those that are judged in the same way."""


@dataclass(frozen=True, kw_only=True)
class CalibratedJudge:
    """The labelled pairs, and the kappa of what the judge said of them."""

    labelled: tuple[LabelledPair, ...]
    kappa: Kappa
    described: str


def calibration_digest(
    *, agent: str, model: str, prompt_digest: str, labelled: Sequence[LabelledPair], said: str
) -> str:
    """SHA-256 of all that a calibration holds for, in hexadecimal digits."""
    pairs = [
        [one.pair.key, one.pair.question, one.pair.expected, one.pair.a, one.pair.b, one.label]
        for one in labelled
    ]
    content = {"agent": agent, "model": model, "prompt": prompt_digest, "pairs": pairs, "said": said}
    return digest_of("judge-calibration/v1", content).removeprefix("sha256:")


def said_of(labelled: Sequence[LabelledPair], judged: Judged) -> str:
    """What the judge said of each pair, one letter each."""
    names = {1: "a", -1: "b", 0: "t", None: _NONE}
    return "".join(names[judged.judgements[one.pair.key].preferred] for one in labelled)


def require_calibrated(
    work: WorkDir, request: Request, questions: Sequence[Question]
) -> CalibratedJudge | None:
    """The judge that decides; None where none does.

    Raises ProgramFailure JudgeNotCalibrated where the calibration does not allow that, and LangSmith's reasons.
    """
    if not request.judge_decides:
        return None
    rule, judge = request.calibration, request.judge
    if rule is None or judge is None:
        raise _not_calibrated(request, "the AgentModel has no calibration of a judge")
    if judge.model != rule.model:
        raise _not_calibrated(
            request, f"the judge is {judge.model}, and {rule.field} is the calibration of {rule.model}"
        )
    if rule.prompt_digest != PROMPT_DIGEST:
        raise _not_calibrated(
            request,
            f"{rule.field} was made with another instruction of the judge ({rule.prompt_digest[:12]}…) than that "
            f"of this version of ModelOps ({PROMPT_DIGEST[:12]}…)",
        )
    labelled = _labels(work, request, rule)
    kappa = _kappa(request, rule, labelled)
    _require_same_form(request, labelled, questions)
    return CalibratedJudge(
        labelled=tuple(labelled),
        kappa=kappa,
        described=f"calibrated with {len(labelled)} labels of {rule.labels}: kappa {kappa.value:.2f}",
    )


def _labels(work: WorkDir, request: Request, rule: CalibrationRule) -> list[LabelledPair]:
    try:
        dataset = load_dataset(work, "labels", rule.labels, as_of=rule.labels_as_of)
    except ProgramFailure as failure:
        if failure.transient:
            raise
        # Its own reason would be taken for one of the evaluation dataset.
        raise _not_calibrated(request, f"the labels in {rule.labels} cannot be read: {failure}") from failure
    try:
        labelled = labels_of(dataset.examples)
    except LabelsError as error:
        raise _not_calibrated(request, f"the labels in {rule.labels} cannot be used: {error}") from error
    expected = calibration_digest(
        agent=request.agent,
        model=rule.model,
        prompt_digest=rule.prompt_digest,
        labelled=labelled,
        said=rule.said,
    )
    if expected != rule.digest:
        raise _not_calibrated(
            request,
            f"{rule.field}.digest is not that of agent {request.agent}, this model, the labels in {rule.labels} as of "
            f"{rule.labels_as_of}, and {rule.field}.said: one of them was changed since",
        )
    return labelled


def _kappa(request: Request, rule: CalibrationRule, labelled: Sequence[LabelledPair]) -> Kappa:
    """Kappa of the recorded answers. Raises ProgramFailure where it is too low, or proves too little."""
    if len(rule.said) != len(labelled):
        raise _not_calibrated(
            request, f"{rule.field}.said has {len(rule.said)} letters for {len(labelled)} labels"
        )
    both = [
        (one.label, _LABELS[letter])
        for one, letter in zip(labelled, rule.said, strict=True)
        if letter != _NONE
    ]
    if len(both) < LEAST_PAIRS:
        raise _not_calibrated(
            request, f"the judge said something of {len(both)} pairs, and it takes {LEAST_PAIRS}"
        )
    kappa = cohens_kappa(both)
    if kappa.value is None or kappa.value < ENOUGH:
        shown = "does not exist" if kappa.value is None else f"is {kappa.value:.2f}"
        raise _not_calibrated(
            request,
            f"its kappa with the {len(both)} labels of {rule.labels} {shown}, and it takes {ENOUGH}: a judge that does "
            "not agree with people may only report",
        )
    return kappa


def _require_same_form(
    request: Request, labelled: Sequence[LabelledPair], questions: Sequence[Question]
) -> None:
    """A judge of prose is none of code: the labels must have the form of the examples."""
    asked = form_of([Expected(text=q.target, outputs=q.outputs, calls=bool(q.calls)) for q in questions])
    if asked is Form.CALLS:
        raise ProgramFailure(
            "JudgeUnfit",
            "most examples expect calls of tools, which are compared and not judged: write scorer: {type: exact}",
        )
    known = form_of([Expected(text=one.pair.expected or one.pair.a, outputs={}) for one in labelled])
    if _FORMS.get(asked, asked) is not _FORMS.get(known, known):
        raise _not_calibrated(
            request,
            f"most labels are about {known.value}, and most expected answers of {request.dataset} are "
            f"{_FORMS.get(asked, asked).value}: a judge of the one is not one of the other",
        )


def _not_calibrated(request: Request, why: str) -> ProgramFailure:
    judge = request.judge.model if request.judge else "MODEL"
    labels = request.calibration.labels if request.calibration else "ls://LABELS"
    return ProgramFailure(
        "JudgeNotCalibrated",
        f"scorer judge cannot decide: {why}. Label {LEAST_PAIRS} or more pairs of answers in a LangSmith dataset, run "
        f"`modelops evaluate calibrate --dataset {labels} --agent {request.agent} --model {judge}`, and write what it "
        "prints into spec.langsmith.judge of the AgentModel; or choose another scorer",
    )
