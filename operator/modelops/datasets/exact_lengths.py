"""Counts the rows whose estimated length might be wrong by too much: no row may be too long for the paid job."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from modelops.datasets.lengths import TokenCounter, percentile, rounded_up
from modelops.datasets.line_file import LineFile
from modelops.datasets.rendered_dataset import PromptCompletion
from modelops.datasets.rendering import conversation_text
from modelops.datasets.training_rows import Row

BATCH = 1_000
"""Number of texts in memory at a time."""


def count_rows_that_may_be_long(
    rows: Sequence[Row], *, limit: int | None, counter: TokenCounter, file: LineFile
) -> list[Row]:
    """The rows; each one that will be kept, and that may have more tokens than the longest usual row, is counted.

    `limit` is the longest row that is allowed, in tokens. What is counted changes what is usual, so it is repeated
    until nothing is left to count.
    """
    counted: dict[int, PromptCompletion] = {}
    found = list(rows)
    while True:
        lengths = [row.longest for row in found]
        usual = _usual(lengths, limit)
        long = {
            one.number: one
            for row, length in zip(found, lengths, strict=True)
            if length <= usual
            for one in (row.better, row.worse)
            if one is not None and one.most_tokens > usual
        }
        if not long:
            return found
        for batch in _batches([*long.values()]):
            counted |= {one.number: one for one in _counted(batch, usual, counter=counter, file=file)}
        found = [_with_counted(row, counted) for row in found]


def _with_counted(row: Row, counted: Mapping[int, PromptCompletion]) -> Row:
    better = counted.get(row.better.number, row.better)
    worse = counted.get(row.worse.number, row.worse) if row.worse else None
    return row if better is row.better and worse is row.worse else Row(better=better, worse=worse)


def _usual(lengths: Sequence[int], limit: int | None) -> int:
    """Longer rows are left out (`checks.py`)."""
    allowed = [length for length in lengths if limit is None or length <= limit]
    usual = rounded_up(percentile(allowed, 0.99)) if allowed else 0
    return usual if limit is None else min(usual, limit)


def _batches(completions: Sequence[PromptCompletion]) -> Iterator[Sequence[PromptCompletion]]:
    return (completions[start : start + BATCH] for start in range(0, len(completions), BATCH))


def _counted(
    completions: Sequence[PromptCompletion], bound: int, *, counter: TokenCounter, file: LineFile
) -> Iterator[PromptCompletion]:
    texts, messages = [], []
    for one in completions:
        row = json.loads(file.read_line(one.offset))
        conversation = row.get("messages") or [*row["prompt"], *row["answer"]]
        texts.append(conversation_text(conversation, row.get("tools")))
        messages.append(len(conversation))
    lengths = counter.count_above(texts, messages, bound=bound)
    for one, length in zip(completions, lengths, strict=True):
        yield replace(one, tokens=length.tokens, most_tokens=length.most)
