"""The report as one HTML file without scripts and without anything from elsewhere; all texts are escaped."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from modelops.evaluation.report.content import Case, Report
from modelops.evaluation.report.interval_picture import COLOURS, interval_picture
from modelops.evaluation.report.markdown import VERDICT_WORDS, losses, score_text
from modelops.evaluation.request import ARMS

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.verdict { border-left: 6px solid; padding: .5rem 1rem; background: #8881; }
table { border-collapse: collapse; }
td, th { border-bottom: 1px solid #8885; padding: .3rem 1rem .3rem 0; text-align: left; overflow-wrap: anywhere; }
td + td { font-variant-numeric: tabular-nums; }
svg { max-width: 100%; height: auto; margin: 1rem 0; border-radius: 6px; }
.case { border-top: 1px solid #8885; padding-top: .5rem; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 0 1rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #8881; padding: .6rem; margin: .2rem 0 .8rem; }
pre { border-radius: 6px; }
"""


def html(report: Report) -> str:
    """A whole page."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    yield (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{escape(report.title)}</title><style>{STYLE}</style></head><body><main>"
    )
    yield f"<h1>{escape(report.title)}</h1>"
    colour, words = COLOURS[report.verdict], VERDICT_WORDS[report.verdict.value]
    yield f'<p class="verdict" style="border-color:{colour}"><strong>{words}.</strong> {escape(report.explanation)}</p>'
    yield interval_picture(report)
    yield _table(
        ["", *(report.versions[arm] for arm in ARMS)],
        [[n, *(v[arm] for arm in ARMS)] for n, v in report.numbers],
    )
    if report.experiment_url:
        yield f'<p><a href="{escape(report.experiment_url)}" rel="noreferrer">All answers in LangSmith</a></p>'
    if report.findings:
        yield "<h2>Findings</h2><ul>"
        yield from (f"<li>{escape(finding)}</li>" for finding in report.findings)
        yield "</ul>"
    yield f"<h2>Where the candidate lost</h2><p>{escape(losses(report))}</p>"
    for number, case in enumerate(report.regressions, start=1):
        yield from _case(report, case, number)
    if report.slices:
        yield "<h2>By kind of example</h2>"
        yield _table(["", "examples", *(report.versions[arm] for arm in ARMS)], report.slice_rows)
        yield "<p>A group of few examples shows little: read it as a hint where to look.</p>"
    yield "<h2>What was compared</h2>"
    yield _table(None, [list(fact) for fact in report.facts])
    yield "</main></body></html>"


def _case(report: Report, case: Case, number: int) -> Iterator[str]:
    yield f'<section class="case"><h3>{number}. Example {escape(case.example)}</h3>'
    yield f"<p>Question</p><pre>{escape(case.question)}</pre><p>Expected</p><pre>{escape(case.expected)}</pre>"
    yield '<div class="sides">'
    for arm in ARMS:
        head = f"{report.versions[arm]}, score {score_text(case.scores[arm])}"
        yield f"<div><p>{escape(head)}</p><pre>{escape(case.answers[arm])}</pre></div>"
    yield "</div></section>"


def _table(heads: list[str] | None, rows: list[list[str]]) -> str:
    head = "" if heads is None else f"<tr>{''.join(f'<th>{escape(cell)}</th>' for cell in heads)}</tr>"
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{head}{body}</table>"
