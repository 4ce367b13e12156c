"""From examples to candidates for rows: checked and rendered by the prompt contract.

Every refusal says how many examples are concerned, names one, and says what to do. Contents never appear in a
message: they may be anybody's code.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter as Counts
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from modelops.api.v1alpha1.agentmodel import PromptContract
from modelops.api.v1alpha1.trainingrun import SensitiveKind as Kind
from modelops.datasets.labels import Labels
from modelops.datasets.lengths import Counter
from modelops.datasets.near import Shingles
from modelops.datasets.production import Trained
from modelops.datasets.rendering import Rendered, rendered
from modelops.datasets.report import Report
from modelops.datasets.request import Request
from modelops.datasets.sensitive import sensitive
from modelops.datasets.source import Example, Journal
from modelops.datasets.spool import Spool
from modelops.domain.prompt import PromptError, check
from modelops.workdir import ProgramFailure

_AT_ONCE = 512
_ENCODER = json.JSONEncoder(sort_keys=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One question with one answer; its messages lie in the spool at `place`.

    `group` is the digest of its inputs, `key` the value of the request's `group_key` (None: it has none),
    `number` its place among all candidates, `preferred` its side of a pair in one example.
    """

    id: str
    number: int
    place: int
    group: str
    target: bytes
    tokens: int
    success: bool
    preferred: bool | None
    key: str | None
    source_run: str


@dataclass(kw_only=True)
class Candidates:
    """All of them in the order of the examples' ids, and what was seen on the way."""

    kept: list[Candidate] = field(default_factory=list)
    shingles: Shingles = field(default_factory=Shingles)
    sensitive: dict[Kind, list[str]] = field(default_factory=dict)
    labels: Labels = field(default_factory=Labels)
    trained: Trained = field(default_factory=Trained)


def candidates(
    source: Journal, request: Request, *, counter: Counter, spool: Spool, report: Report
) -> Candidates:
    """Raises ProgramFailure: DatasetEmpty, DatasetShapeInvalid, PromptRenderFailed."""
    dataset = source.version.name
    if not source.version.count:
        raise ProgramFailure(
            "DatasetEmpty", f"dataset {dataset!r} has no examples in the chosen version and splits; add some"
        )
    _check_prompt(request.prompt)
    pairs = request.method != "sft"
    census = _Census(request=request, learns_from_failures=pairs or request.include_failures)
    found = Candidates()
    for batch in _batches(source):
        own = [
            r for example in batch if census.accepts(example) for r in census.rendered(example, pairs=pairs)
        ]
        _add(found, own, request=request, counter=counter, spool=spool)
    census.judge(source.version.count, dataset=dataset, report=report)
    return found


def _add(found: Candidates, own: list[Rendered], *, request: Request, counter: Counter, spool: Spool) -> None:
    texts = [one.text for one in own]
    tokens = counter.count(texts, [len(one.prompt) + len(one.answer) for one in own])
    found.shingles.add([one.likeness.words for one in own])
    for one, text, length in zip(own, texts, tokens, strict=True):
        example = one.example
        for kind in sensitive(text):
            found.sensitive.setdefault(kind, []).append(example.id)
        if one.preferred is not False:
            found.labels.add(example.metadata)
            if request.project:
                found.trained.add(one.prompt, tools=one.tools)
        candidate = Candidate(
            id=example.id,
            number=len(found.kept),
            place=spool.add(_line(one, method=request.method)),
            group=one.likeness.digest,
            target=hashlib.sha256(one.target.encode()).digest()[:16],
            tokens=length,
            success=_succeeded(example),
            preferred=one.preferred,
            key=_key(example, request.group_key),
            source_run=example.source_run,
        )
        found.kept.append(candidate)


def _line(one: Rendered, *, method: str) -> bytes:
    """For SFT the row as it is uploaded, so that it only has to be copied."""
    document: dict[str, Any] = {"id": one.example.id}
    if method == "sft":
        document["messages"] = [*one.prompt, *one.answer]
    else:
        document |= {"prompt": one.prompt, "answer": one.answer}
    if one.tools:
        document["tools"] = one.tools
    return _ENCODER.encode(document).encode() + b"\n"


@dataclass(kw_only=True)
class _Census:
    """Counts what cannot be used, and refuses at the end: one pass, and yet a message with all numbers."""

    request: Request
    learns_from_failures: bool
    bad: list[tuple[str, str]] = field(default_factory=list)
    others: Counts[str] = field(default_factory=Counts)
    failures: int = 0
    usable: int = 0
    empty: list[str] = field(default_factory=list)
    misfit: tuple[str, PromptError] | None = None

    def accepts(self, example: Example) -> bool:
        if not (_sound(example.inputs) and _sound(example.outputs)):
            self.bad.append((example.id, "outputs" if _sound(example.inputs) else "inputs"))
            return False
        if not _is_for(self.request.agent, example):
            self.others[str(example.metadata["agent"])] += 1
            return False
        if not _succeeded(example) and not self.learns_from_failures:
            self.failures += 1
            return False
        self.usable += 1
        return True

    def rendered(self, example: Example, *, pairs: bool) -> Iterator[Rendered]:
        try:
            found = list(rendered(example, prompt=self.request.prompt, pairs=pairs))
        except PromptError as error:
            self.misfit = self.misfit or (example.id, error)
            return
        if any(not one.target for one in found):
            self.empty.append(example.id)
            return
        yield from found

    def judge(self, total: int, *, dataset: str, report: Report) -> None:
        """The first thing that is wrong with the whole; what was left out becomes findings."""
        if self.bad:
            first, part = self.bad[0]
            raise ProgramFailure(
                "DatasetShapeInvalid",
                f"{len(self.bad)} of {total} examples of dataset {dataset!r} lack inputs or outputs as an "
                f"object with keys; the first is example {first}, its `{part}`. Correct or remove them",
            )
        others = sorted(self.others)
        if self.others.total() == total:
            raise ProgramFailure(
                "DatasetShapeInvalid",
                f"all {total} examples of dataset {dataset!r} have metadata.agent {', '.join(others)!r}, "
                f"not {self.request.agent!r}; choose that agent's dataset",
            )
        if others:
            report.find(f"{self.others.total()} examples of other agents ({', '.join(others)}) were left out")
        if not self.usable:
            raise ProgramFailure(
                "DatasetShapeInvalid",
                f"no example of dataset {dataset!r} has metadata.success true; failures are not learnt from",
            )
        if self.failures:
            report.find(f"{self.failures} examples without metadata.success true were left out")
        if self.misfit:
            example, error = self.misfit
            raise ProgramFailure(
                "PromptRenderFailed",
                f"example {example} (of {self.usable}) does not fit the AgentModel's spec.{error}",
            ) from error
        if self.empty:
            raise ProgramFailure(
                "DatasetShapeInvalid",
                f"{len(self.empty)} of {self.usable} examples of dataset {dataset!r} have an empty target after "
                f"prompt.assistant; the first is example {self.empty[0]}. Correct or remove them",
            )
        report.figures["left_out"] = {"other_agents": self.others.total(), "failures": self.failures}


def _batches(source: Journal) -> Iterator[list[Example]]:
    remaining = iter(source)
    while batch := list(islice(remaining, _AT_ONCE)):
        yield batch


def _sound(part: object) -> bool:
    return isinstance(part, dict) and bool(part)


def _is_for(agent: str, example: Example) -> bool:
    named = example.metadata.get("agent")
    return named is None or named == agent or _plain(str(named)) == _plain(agent)


def _plain(agent: str) -> str:
    """feature_dev, feature-dev and FeatureDev are one agent."""
    return re.sub(r"[-_\s]", "", agent).lower()


def _succeeded(example: Example) -> bool:
    return example.metadata.get("success", True) is True


def _key(example: Example, path: str | None) -> str | None:
    """What a dotted path leads to, in the example's inputs or metadata, or from one of these words on."""
    if not path:
        return None
    parts = path.split(".")
    for start in ({"inputs": example.inputs, "metadata": example.metadata}, example.inputs, example.metadata):
        value: Any = start
        for part in parts:
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            return json.dumps(value, sort_keys=True)
    return None


def _check_prompt(prompt: PromptContract) -> None:
    try:
        check(prompt)
    except PromptError as error:
        raise ProgramFailure("PromptRenderFailed", f"the AgentModel's spec.{error}") from error
