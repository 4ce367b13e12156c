"""From rendered examples to training rows: distinct answers for SFT, preference pairs for DPO and ORPO."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from modelops.datasets.rendered_dataset import PromptCompletion
from modelops.datasets.report import Report
from modelops.grammar import counted, verb


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One training row: for SFT one answer, for DPO and ORPO a pair (`worse` is the rejected answer)."""

    better: PromptCompletion
    worse: PromptCompletion | None = None

    @property
    def id(self) -> str:
        """Id of the example that the preferred answer comes from."""
        return self.better.id

    @property
    def prompt_digest(self) -> str:
        """Digest of the prompt; both answers of a pair have the same one."""
        return self.better.prompt_digest

    @property
    def tokens(self) -> int:
        """Tokens that a training step reads for this row: of a pair, both sequences."""
        return self.better.tokens + (self.worse.tokens if self.worse else 0)

    @property
    def longest(self) -> int:
        """Tokens of the row's longest sequence."""
        return max(self.better.tokens, self.worse.tokens if self.worse else 0)


def deduplicate(completions: Sequence[PromptCompletion], *, report: Report) -> list[Row]:
    """One row for each question with its target. The same question with another target stays, in the same group."""
    first: dict[tuple[tuple[str, bytes], bytes], PromptCompletion] = {}
    for one in completions:
        first.setdefault((one.question, one.target_digest), one)
    duplicates = len(completions) - len(first)
    if duplicates:
        report.add_finding(f"{counted(duplicates, 'duplicate')} {verb(duplicates, 'was', 'were')} left out")
    report.figures.setdefault("left_out", {})["duplicates"] = duplicates
    targets = {(one.prompt_digest, one.target_digest) for one in first.values()}
    conflicting = len(targets) - len({prompt for prompt, _ in targets})
    if conflicting:
        report.add_finding(
            f"{counted(conflicting, 'example')} {verb(conflicting, 'has', 'have')} the same prompt as another one "
            "but a different target"
        )
    return [Row(better=one) for one in first.values()]


def build_preference_pairs(
    completions: Sequence[PromptCompletion], *, scores: Mapping[str, float], report: Report
) -> list[Row]:
    """Pairs, each of two different answers to the same question.

    They come from three sources, in this order: both answers in one example; a failure beside a success; where all
    answers succeeded, the one with the best score beside each one with a lower score. `scores` are by source run.
    """
    by_question: defaultdict[tuple[str, bytes], list[PromptCompletion]] = defaultdict(list)
    for one in completions:
        by_question[one.question].append(one)
    found: dict[tuple[tuple[str, bytes], bytes, bytes], Row] = {}
    counts = {"in_one_example": 0, "success_and_failure": 0, "scores": 0, "duplicates": 0}
    for question, answers in by_question.items():
        for source, better, worse in _pairs(answers, scores):
            key = (question, better.target_digest, worse.target_digest)
            if better.target_digest == worse.target_digest or key in found:
                counts["duplicates"] += 1
                continue
            found[key] = Row(better=better, worse=worse)
            counts[source] += 1
    contradicting = sum((question, worse, better) in found for question, better, worse in found) // 2
    if contradicting:
        report.add_finding(
            f"{counted(contradicting, 'pair')} of answers {verb(contradicting, 'is', 'are')} in the dataset in both "
            "orders of preference"
        )
    if counts["duplicates"]:
        report.add_finding(
            f"{counted(counts['duplicates'], 'pair')} {verb(counts['duplicates'], 'was', 'were')} left out, because "
            f"{verb(counts['duplicates'], 'its', 'their')} answers are equal or the pair is repeated"
        )
    report.figures["pairs"] = counts
    return list(found.values())


def _pairs(
    answers: Sequence[PromptCompletion], scores: Mapping[str, float]
) -> Iterator[tuple[str, PromptCompletion, PromptCompletion]]:
    for better, worse in pairwise(answers):
        if better.preferred is True and worse.preferred is False and better.id == worse.id:
            yield "in_one_example", better, worse
    single = [one for one in answers if one.preferred is None]
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
