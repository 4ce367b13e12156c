"""The report as Markdown, which the Hub shows. What models and datasets wrote formats nothing: it stands in fences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from modelops.evaluation.report.content import Case, Report
from modelops.evaluation.request import ARMS
from modelops.grammar import counted

VERDICT_WORDS = {
    "pass": "Passed: the candidate may be deployed",
    "fail": "Failed: the candidate is worse",
    "inconclusive": "Inconclusive: a person decides, or more examples do",
}
PICTURE = "interval.svg"


def markdown(report: Report) -> str:
    """A page that shows the picture `interval.svg` beside it."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"# {_inline(report.title)}"
    yield ""
    yield f"**{VERDICT_WORDS[report.verdict.value]}.** {_inline(report.explanation)}"
    yield ""
    yield f"![The interval of the difference]({PICTURE})"
    yield ""
    yield from _table(["", *(_inline(report.versions[arm]) for arm in ARMS)], _numbers(report))
    if report.experiment_url:
        yield ""
        yield f"[All answers in LangSmith]({report.experiment_url})"
    if report.findings:
        yield ""
        yield "## Findings"
        yield ""
        yield from (f"- {_inline(finding)}" for finding in report.findings)
    yield ""
    yield "## Where the candidate lost"
    yield ""
    yield losses(report)
    for number, case in enumerate(report.regressions, start=1):
        yield from _case(report, case, number)
    if report.slices:
        yield ""
        yield "## By kind of example"
        yield ""
        heads = ["", "examples", *(report.versions[arm] for arm in ARMS)]
        yield from _table(list(map(_inline, heads)), [list(map(_inline, row)) for row in report.slice_rows])
        yield ""
        yield "A group of few examples shows little: read it as a hint where to look."
    yield ""
    yield "## What was compared"
    yield ""
    yield from _table(["", ""], [[_inline(name), _inline(value)] for name, value in report.facts])


def losses(report: Report) -> str:
    """How many examples were lost and gained, and which of the lost ones the report shows."""
    words = (
        f"The candidate fails {counted(report.lost, 'example')} that the baseline solves, and solves "
        f"{counted(report.gained, 'example')} that the baseline fails."
    )
    if report.regressions and len(report.regressions) < report.lost:
        words += f" The {len(report.regressions)} worst are below."
    if report.withheld:
        words += (
            f" {counted(report.withheld, 'example')} {'is' if report.withheld == 1 else 'are'} not shown here, because "
            "of what looks like a secret or personal data."
        )
    return words


def _numbers(report: Report) -> list[list[str]]:
    return [[name, *(_inline(values[arm]) for arm in ARMS)] for name, values in report.numbers]


def _case(report: Report, case: Case, number: int) -> Iterator[str]:
    yield ""
    yield f"### {number}. Example {_inline(case.example)}"
    parts = [("Question", case.question), ("Expected", case.expected)]
    for arm in ARMS:
        parts.append((f"{report.versions[arm]}, score {score_text(case.scores[arm])}", case.answers[arm]))
    for name, text in parts:
        yield ""
        yield f"{_inline(name)}:"
        yield ""
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
        yield f"{fence}text\n{text}\n{fence}"


def score_text(score: float | None) -> str:
    """A score from 0 to 1 with two decimals."""
    return "none" if score is None else f"{score:.2f}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _inline(text: str) -> str:
    """Text in one line in which no character formats, links or ends a cell."""
    line = " ".join(text.split())
    return re.sub(r"([\\`*_{}\[\]<>|~#!])", r"\\\1", line)
