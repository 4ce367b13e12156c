"""How well a judge agrees with people: their labels of pairs beside the judge's own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelops.datasets.download import Example
from modelops.domain.gates.kappa import Kappa, cohens_kappa
from modelops.evaluation.judge.pairs import Judged
from modelops.evaluation.judge.prompt import Pair
from modelops.grammar import counted

LEAST_PAIRS, LEAST_OF_RARER, ENOUGH = 50, 10, 0.6
"""Pairs that are needed, those of which each of the two answers is the better one, and the kappa that is asked for."""
MOST_PAIRS, MOST_LINE = 5000, 1_000_000
LABELS = {"a": 1, "b": -1, "tie": 0}
NAMES = {number: label for label, number in LABELS.items()}


class LabelsError(ValueError):
    """The labels cannot be used. The message names the line and what to write."""


@dataclass(frozen=True, kw_only=True)
class LabelledPair:
    """A pair, and what a person says of it: a, b or tie."""

    pair: Pair
    label: str


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """`judged` pairs of `pairs` have a judgement. `reaches`: whether kappa is ENOUGH, on enough pairs."""

    pairs: int
    judged: int
    kappa: Kappa | None
    reaches: bool
    message: str


def read_labels(lines: Iterable[str]) -> list[LabelledPair]:
    """The pairs of a file with one JSON object in each line. Raises LabelsError."""
    found: list[LabelledPair] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if len(line) > MOST_LINE or len(found) == MOST_PAIRS:
            raise LabelsError(
                f"line {number}: at most {MOST_PAIRS} lines of {MOST_LINE:,} characters are read"
            )
        try:
            document = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise LabelsError(f"line {number} is not JSON: {error}") from None
        found.append(_labelled(document, key=str(number), where=f"line {number}"))
    _require_enough(found)
    return found


def labels_of(examples: Sequence[Example]) -> list[LabelledPair]:
    """The pairs of a LangSmith dataset, in the order of the examples' ids. Raises LabelsError.

    An example has `question`, `answers` and `expected` in its inputs, as a line of a file has them, and `label` in its
    outputs.
    """
    if len(examples) > MOST_PAIRS:
        raise LabelsError(f"there are {len(examples):,} examples: at most {MOST_PAIRS:,} are read")
    found = []
    for example in sorted(examples, key=lambda example: example.id):
        outputs = example.outputs if isinstance(example.outputs, Mapping) else {}
        document = example.inputs
        if isinstance(document, Mapping):
            document = {**document, "label": outputs.get("label")}
        found.append(_labelled(document, key=example.id, where=f"example {example.id}"))
    _require_enough(found)
    return found


def _labelled(document: Any, *, key: str, where: str) -> LabelledPair:
    if not isinstance(document, Mapping):
        raise LabelsError(f"{where} is no JSON object: write question, answers and label")
    question = document.get("question", document.get("inputs"))
    if question is None:
        raise LabelsError(f"{where} has no question: write `question` or `inputs`")
    answers, label = document.get("answers"), document.get("label")
    both = [answers.get(side) for side in ("a", "b")] if isinstance(answers, Mapping) else []
    if len(both) != 2 or not all(isinstance(one, str) for one in both):
        raise LabelsError(f'{where}: write the two answers as {{"answers": {{"a": "...", "b": "..."}}}}')
    if not isinstance(label, str) or label not in LABELS:
        raise LabelsError(f"{where}: label {label!r} is none of a, b and tie")
    a, b = both
    return LabelledPair(
        pair=Pair(
            key=key,
            question=_text(question),
            expected=_text(document.get("expected", document.get("outputs", ""))),
            a=str(a),
            b=str(b),
        ),
        label=label,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _require_enough(found: Sequence[LabelledPair]) -> None:
    if len(found) < LEAST_PAIRS:
        raise LabelsError(f"there are {counted(len(found), 'label')}: it takes {LEAST_PAIRS} or more")
    counts = Counter(one.label for one in found)
    rarer = min(("a", "b"), key=lambda label: counts[label])
    if counts[rarer] < LEAST_OF_RARER:
        raise LabelsError(
            f"only {counted(counts[rarer], 'label')} of {len(found)} {'is' if counts[rarer] == 1 else 'are'} "
            f"{rarer}: it takes {LEAST_OF_RARER}, since a judge that never says it would agree with the others"
        )


def calibration_of(labelled: Sequence[LabelledPair], judged: Judged) -> Calibration:
    """The agreement of the judge's judgements with the labels."""
    pairs = [
        (one.label, NAMES[found.preferred])
        for one in labelled
        if (found := judged.judgements[one.pair.key]).preferred is not None
    ]
    kappa = cohens_kappa(pairs) if pairs else None
    enough = len(pairs) >= LEAST_PAIRS
    value = kappa.value if kappa else None
    reaches = enough and value is not None and value >= ENOUGH
    return Calibration(
        pairs=len(labelled),
        judged=len(pairs),
        kappa=kappa,
        reaches=reaches,
        message=_message(kappa, judged=len(pairs), missing=judged.first_missing, reaches=reaches),
    )


def _message(kappa: Kappa | None, *, judged: int, missing: str, reaches: bool) -> str:
    because = f" (most often because of: {missing})" if missing else ""
    if judged < LEAST_PAIRS:
        return f"The judge gave {counted(judged, 'judgement')}{because}; it takes {LEAST_PAIRS} to tell"
    if kappa is None or kappa.value is None:
        return "People and judge gave one and the same label throughout, so kappa does not exist"
    if not reaches:
        return f"Kappa is below {ENOUGH}: the judge does not agree with people well enough to be believed"
    sure = kappa.low is not None and kappa.low >= ENOUGH
    rest = "" if sure else f"; its interval begins below {ENOUGH}, and more labels would make it narrower"
    return f"Kappa reaches {ENOUGH}: the judge agrees with people{rest}"
