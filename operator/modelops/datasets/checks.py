"""What is wrong with the rows as a whole: each check either refuses or leaves findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from modelops.api.v1alpha1.trainingrun import SensitiveKind as Kind
from modelops.datasets.choosing import Row
from modelops.datasets.lengths import MOST_TOO_LONG, percentile, rounded_up
from modelops.datasets.refusals import named
from modelops.datasets.report import Report
from modelops.datasets.request import Request
from modelops.workdir import ProgramFailure

TIMES_THE_MEDIAN = 10
_IDS_SHOWN = 5


def refuse_sensitive(
    found: Mapping[Kind, Sequence[str]], *, request: Request, name: str, report: Report
) -> None:
    """Raises ProgramFailure SensitiveContent with kinds and ids, never the content."""
    counts = {kind: sorted(set(ids)) for kind, ids in sorted(found.items())}
    if counts:
        report.figures["sensitive"] = {kind.value: len(ids) for kind, ids in counts.items()}
    refused = {kind: ids for kind, ids in counts.items() if kind not in request.allow_sensitive}
    for kind, ids in counts.items():
        if kind not in refused:
            report.find(
                f"{len(ids)} examples contain {_WORDS[kind]}, which spec.dataset.allowSensitive lets pass"
            )
    if not refused:
        return
    kinds = "; ".join(f"{len(ids)} with {_WORDS[kind]} ({_ids(ids)})" for kind, ids in refused.items())
    raise ProgramFailure(
        "SensitiveContent",
        f"{len({i for ids in refused.values() for i in ids})} examples of {named(request, name)} contain "
        f"secrets or personal data: {kinds}. Correct the examples in LangSmith, and revoke what was a key; "
        f"what may be learnt is allowed by spec.dataset.allowSensitive: [{', '.join(refused)}]",
    )


def refuse_few_pairs(rows: Sequence[Row], *, request: Request, name: str, examples: int) -> None:
    """Raises ProgramFailure MethodNotServed: the number found, and what to add."""
    if request.method == "sft" or len(rows) >= request.min_examples:
        return
    needed = request.min_examples - len(rows)
    raise ProgramFailure(
        "MethodNotServed",
        f"spec.method {request.method} learns from pairs of a better and a worse answer; {named(request, name)} "
        f"gives {len(rows)} pairs from {examples} examples and {request.min_examples} are needed. Add at least "
        f"{needed}: examples with outputs.chosen and outputs.rejected, or failures (metadata.success false) "
        "with the same inputs as a success, or scores for the runs that examples were made from; or train with sft",
    )


def without_long(rows: Sequence[Row], *, request: Request, name: str, report: Report) -> list[Row]:
    """Never cut, always counted. Raises ProgramFailure DatasetTooLong above 5 percent."""
    return _without_outliers(_within(rows, request=request, name=name, report=report), report=report)


def _without_outliers(rows: Sequence[Row], *, report: Report) -> list[Row]:
    """One row in a hundred may be left out, where it alone would decide how much memory every step needs."""
    if not rows:
        return []
    usual = rounded_up(percentile([row.longest for row in rows], 0.99))
    kept = [row for row in rows if row.longest <= usual]
    if len(kept) < len(rows):
        report.figures.setdefault("left_out", {})["longer_than_the_rest"] = len(rows) - len(kept)
        report.find(
            f"{len(rows) - len(kept)} examples longer than {usual} tokens, which 99 in 100 are not, were left out"
        )
    return kept


def _within(rows: Sequence[Row], *, request: Request, name: str, report: Report) -> list[Row]:
    """Those within config.maxSeqLength."""
    limit = request.max_seq_length
    if limit is None:
        return list(rows)
    kept = [row for row in rows if row.longest <= limit]
    long = [row for row in rows if row.longest > limit]
    report.figures.setdefault("left_out", {})["too_long"] = len(long)
    if len(long) > MOST_TOO_LONG * len(rows):
        raise ProgramFailure(
            "DatasetTooLong",
            f"{len(long)} of {len(rows)} examples of {named(request, name)} are longer than "
            f"config.maxSeqLength {limit} tokens, the first being {long[0].id} with {long[0].longest}; at most "
            f"{MOST_TOO_LONG:.0%} may be left out. Raise config.maxSeqLength to {max(r.longest for r in long)}, "
            "or shorten the examples",
        )
    if long:
        report.find(
            f"{len(long)} examples longer than config.maxSeqLength {limit} tokens were left out, the first "
            f"being {long[0].id}"
        )
    return kept


def find_outliers(rows: Sequence[Row], *, report: Report) -> None:
    """Rows much longer than the rest: often a log or a file that came along by mistake."""
    middle = median(row.longest for row in rows)
    long = [row for row in rows if row.longest > TIMES_THE_MEDIAN * middle]
    if long:
        report.find(
            f"{len(long)} examples are more than {TIMES_THE_MEDIAN} times as long as the median of "
            f"{middle:.0f} tokens, the longest being {max(long, key=lambda row: row.longest).id}"
        )


_WORDS = {
    Kind.PRIVATE_KEY: "a private key",
    Kind.KEY: "a key, token or password",
    Kind.EMAIL: "an e-mail address",
    Kind.PHONE: "a phone number",
}


def _ids(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _IDS_SHOWN} more" if len(ids) > _IDS_SHOWN else ""
    return ", ".join(ids[:_IDS_SHOWN]) + more
