"""From examples to candidates for rows: checked and rendered by the prompt contract, in one pass."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from modelops.api.v1alpha1.trainingrun import SensitiveKind as Kind
from modelops.datasets.census import Census, check_prompt, succeeded
from modelops.datasets.labels import Labels
from modelops.datasets.lengths import Counter
from modelops.datasets.near import Shingles
from modelops.datasets.production import Trained
from modelops.datasets.rendering import Rendered
from modelops.datasets.report import Report
from modelops.datasets.request import Request
from modelops.datasets.sensitive import sensitive
from modelops.datasets.source import Example, Journal
from modelops.datasets.spool import Spool
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
    check_prompt(request.prompt)
    pairs = request.method != "sft"
    census = Census(request=request, learns_from_failures=pairs or request.include_failures)
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
            success=succeeded(example),
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


def _batches(source: Journal) -> Iterator[list[Example]]:
    remaining = iter(source)
    while batch := list(islice(remaining, _AT_ONCE)):
        yield batch


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
