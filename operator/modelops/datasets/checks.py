"""Checks of all rows together: each one refuses the dataset, or leaves rows out and reports it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from modelops.datasets.lengths import MOST_TOO_LONG, percentile, rounded_up
from modelops.datasets.report import Report
from modelops.datasets.request import Request
from modelops.datasets.training_rows import Row
from modelops.grammar import counted, verb
from modelops.workdir import ProgramFailure

OUTLIER_FACTOR = 10
"""Times the median length from which a row is reported as an outlier."""


def refuse_few_pairs(rows: Sequence[Row], *, request: Request, name: str, examples: int) -> None:
    """Raises ProgramFailure MethodNotServed, which has the number of pairs found and what to add."""
    if request.method == "sft" or len(rows) >= request.min_examples:
        return
    missing = request.min_examples - len(rows)
    raise ProgramFailure(
        "MethodNotServed",
        f"spec.method {request.method} learns from pairs of a better and a worse answer; "
        f"{request.describe_dataset(name)} gives {counted(len(rows), 'pair')} from {counted(examples, 'example')} and "
        f"{request.min_examples} are needed. Add at least {missing}: examples with outputs.chosen and "
        "outputs.rejected, or failures (metadata.success false) with the same prompt as a success, or scores for the "
        "runs that examples were made from; or train with sft",
    )


def leave_out_long_rows(rows: Sequence[Row], *, request: Request, name: str, report: Report) -> list[Row]:
    """The rows that are not too long. No row is cut; every row that is left out is counted in the report.

    Raises ProgramFailure DatasetTooLong where more than 5 percent are longer than config.maxSeqLength.
    """
    within_limit = _leave_out_above_limit(rows, request=request, name=name, report=report)
    return _leave_out_longest_percent(within_limit, report=report)


def _leave_out_longest_percent(rows: Sequence[Row], *, report: Report) -> list[Row]:
    """At most one row in a hundred is left out here, because the longest row decides the memory of every step."""
    if not rows:
        return []
    usual = rounded_up(percentile([row.longest for row in rows], 0.99))
    kept = [row for row in rows if row.longest <= usual]
    count = len(rows) - len(kept)
    if count:
        report.figures.setdefault("left_out", {})["longer_than_the_rest"] = count
        report.add_finding(
            f"{counted(count, 'example')} longer than {counted(usual, 'token')} {verb(count, 'was', 'were')} left out; "
            "99 of 100 examples are shorter"
        )
    return kept


def _leave_out_above_limit(rows: Sequence[Row], *, request: Request, name: str, report: Report) -> list[Row]:
    """The rows within config.maxSeqLength."""
    limit = request.max_seq_length
    if limit is None:
        return list(rows)
    kept = [row for row in rows if row.longest <= limit]
    long = [row for row in rows if row.longest > limit]
    report.figures.setdefault("left_out", {})["too_long"] = len(long)
    count = len(long)
    if count > MOST_TOO_LONG * len(rows):
        raise ProgramFailure(
            "DatasetTooLong",
            f"{counted(count, 'example', of=len(rows))} of {request.describe_dataset(name)} "
            f"{verb(count, 'is', 'are')} longer than config.maxSeqLength {counted(limit, 'token')}; the first is "
            f"{long[0].id} with {counted(long[0].longest, 'token')}. At most {MOST_TOO_LONG:.0%} may be left out. "
            f"Raise config.maxSeqLength to {max(row.longest for row in long)}, or shorten the examples",
        )
    if long:
        report.add_finding(
            f"{counted(count, 'example')} longer than config.maxSeqLength {counted(limit, 'token')} "
            f"{verb(count, 'was', 'were')} left out; the first is {long[0].id}"
        )
    return kept


def report_outliers(rows: Sequence[Row], *, report: Report) -> None:
    """A finding for rows much longer than the others: often they hold a log or a file by mistake."""
    middle = median(row.longest for row in rows)
    long = [row for row in rows if row.longest > OUTLIER_FACTOR * middle]
    if long:
        count = len(long)
        report.add_finding(
            f"{counted(count, 'example')} {verb(count, 'is', 'are')} more than {OUTLIER_FACTOR} times as long as the "
            f"median of {counted(round(middle), 'token')}; the longest is {max(long, key=lambda row: row.longest).id}"
        )
