"""Scores that people or evaluators gave to the runs that examples were made from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import islice
from statistics import fmean

from modelops.adapters.langsmith.errors import LangSmithError, translated_errors
from modelops.datasets.report import Report
from modelops.datasets.source import connect
from modelops.workdir import ProgramFailure, WorkDir

_RUNS_AT_ONCE = 50
"""Their ids go into one address: 50 of 36 characters stay far below what proxies allow."""


def scores(work: WorkDir, runs: Iterable[str], *, key: str | None, report: Report) -> Mapping[str, float]:
    """The mean score of each run, under one feedback key; empty, and a finding, where it is not clear which.

    Raises ProgramFailure with LangSmith's reason.
    """
    asked = sorted({run for run in runs if run})
    known = work.read("feedback.json")
    if known is None:
        known = _read(asked) if asked else {}
        work.write("feedback.json", known)
    if key is None and len(known) > 1:
        report.find(
            f"the source runs have feedback {', '.join(sorted(known))}: no pairs were made of it; name one in "
            "spec.dataset.feedbackKey"
        )
        return {}
    if key is not None and key not in known:
        report.find(
            f"spec.dataset.feedbackKey {key!r}: no source run of the dataset has a score of that name"
        )
        return {}
    chosen = key or next(iter(known), None)
    return known[chosen] if chosen else {}


def _read(runs: list[str]) -> dict[str, dict[str, float]]:
    """By key, then by run."""
    found: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    client = connect()
    try:
        remaining = iter(runs)
        with translated_errors(doing="reading feedback of the dataset's source runs", url=client.api_url):
            while batch := list(islice(remaining, _RUNS_AT_ONCE)):
                for entry in client.list_feedback(run_ids=batch):
                    if entry.score is not None and entry.run_id is not None:
                        found[entry.key][str(entry.run_id)].append(float(entry.score))
    except LangSmithError as error:
        raise ProgramFailure(error.reason, str(error), transient=error.transient) from error
    finally:
        client.close(timeout=0)
    return {key: {run: fmean(values) for run, values in own.items()} for key, own in found.items()}
