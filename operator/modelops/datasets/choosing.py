"""From candidates to what is learnt: distinct answers for SFT, pairs of a better and a worse one for DPO, ORPO."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from modelops.datasets.report import Report
from modelops.datasets.rows import Candidate


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One training row. `tokens` are all that a step reads, `longest` the longest sequence among them.

    `worse` is the rejected answer of a pair, None for SFT.
    """

    better: Candidate
    worse: Candidate | None = None

    @property
    def id(self) -> str:
        return self.better.id

    @property
    def group(self) -> str:
        return self.better.group

    @property
    def tokens(self) -> int:
        return self.better.tokens + (self.worse.tokens if self.worse else 0)

    @property
    def longest(self) -> int:
        return max(self.better.tokens, self.worse.tokens if self.worse else 0)


def distinct(candidates: Sequence[Candidate], *, report: Report) -> list[Row]:
    """One row of each question and target; the same question with other targets stays, in one group."""
    first: dict[tuple[str, bytes], Candidate] = {}
    for one in candidates:
        first.setdefault((one.group, one.target), one)
    if len(first) < len(candidates):
        report.find(f"{len(candidates) - len(first)} duplicates were left out")
    report.figures.setdefault("left_out", {})["duplicates"] = len(candidates) - len(first)
    conflicting = len(first) - len({one.group for one in first.values()})
    if conflicting:
        report.find(f"{conflicting} examples have the same inputs as another one but a different target")
    return [Row(better=one) for one in first.values()]


def preferences(candidates: Sequence[Candidate], *, scores: Mapping[str, float], report: Report) -> list[Row]:
    """Pairs, each of two different answers to the same inputs.

    Three sources, in this order: both answers in one example; a failure beside a success; where all succeeded,
    the best scored answer beside each one with a lower score. `scores` are of source runs.
    """
    by_inputs: defaultdict[str, list[Candidate]] = defaultdict(list)
    for one in candidates:
        by_inputs[one.group].append(one)
    found: dict[tuple[str, bytes, bytes], Row] = {}
    counts = {"in_one_example": 0, "success_and_failure": 0, "scores": 0, "duplicates": 0}
    for group, members in by_inputs.items():
        for name, better, worse in _pairs(members, scores):
            key = (group, better.target, worse.target)
            if better.target == worse.target or key in found:
                counts["duplicates"] += 1
                continue
            found[key] = Row(better=better, worse=worse)
            counts[name] += 1
    contradicting = sum((group, worse, better) in found for group, better, worse in found) // 2
    if contradicting:
        report.find(f"{contradicting} pairs of answers are preferred both ways round")
    if counts["duplicates"]:
        report.find(f"{counts['duplicates']} pairs of equal answers or repeated pairs were left out")
    report.figures["pairs"] = counts
    return list(found.values())


def _pairs(
    members: Sequence[Candidate], scores: Mapping[str, float]
) -> Iterator[tuple[str, Candidate, Candidate]]:
    for better, worse in pairwise(members):
        if better.preferred is True and worse.preferred is False and better.id == worse.id:
            yield "in_one_example", better, worse
    single = [one for one in members if one.preferred is None]
    good = [one for one in single if one.success]
    bad = [one for one in single if not one.success]
    if good:
        for number, worse in enumerate(bad):
            yield "success_and_failure", good[number % len(good)], worse
    scored = [one for one in good if one.source_run in scores]
    if not bad and len(scored) > 1:
        best = max(scored, key=lambda one: scores[one.source_run])
        for worse in scored:
            if scores[worse.source_run] < scores[best.source_run]:
                yield "scores", best, worse
