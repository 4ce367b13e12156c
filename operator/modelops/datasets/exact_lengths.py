"""Counts the rows whose estimated length might be wrong by too much: no row may be too long for the paid job."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from modelops.datasets.lengths import TokenCounter, percentile, rounded_up
from modelops.datasets.line_file import LineFile
from modelops.datasets.rendered_dataset import PromptCompletion
from modelops.datasets.rendering import conversation_text
from modelops.datasets.training_rows import Row


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
        usual = _usual(found, limit)
        long = {
            one.number: one
            for row in found
            if row.longest <= usual
            for one in (row.better, row.worse)
            if one is not None and one.most_tokens > usual
        }
        if not long:
            return found
        counted |= {number: _counted(one, usual, counter=counter, file=file) for number, one in long.items()}
        found = [
            Row(
                better=counted.get(row.better.number, row.better),
                worse=counted.get(row.worse.number, row.worse) if row.worse else None,
            )
            for row in found
        ]


def _usual(rows: Sequence[Row], limit: int | None) -> int:
    """Longer rows are left out (`checks.py`)."""
    lengths = [row.longest for row in rows if limit is None or row.longest <= limit]
    usual = rounded_up(percentile(lengths, 0.99)) if lengths else 0
    return usual if limit is None else min(usual, limit)


def _counted(one: PromptCompletion, bound: int, *, counter: TokenCounter, file: LineFile) -> PromptCompletion:
    row = json.loads(file.read_line(one.offset))
    messages = row.get("messages") or [*row["prompt"], *row["answer"]]
    length = counter.count_above(conversation_text(messages, row.get("tools")), len(messages), bound=bound)
    return replace(one, tokens=length.tokens, most_tokens=length.most)
