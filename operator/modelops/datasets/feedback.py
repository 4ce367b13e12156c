"""LangSmith feedback: scores that people or evaluators gave to the runs that examples were made from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import islice
from statistics import fmean

from modelops.adapters.langsmith.errors import LangSmithError, translated_errors
from modelops.datasets.download import connect_langsmith
from modelops.datasets.report import Report
from modelops.workdir import ProgramFailure, WorkDir

_RUNS_AT_ONCE = 50
"""Runs in one request. Their ids go into its URL: 50 ids of 36 characters stay far below what proxies allow."""


def read_feedback_scores(
    work: WorkDir, runs: Iterable[str], *, key: str | None, report: Report
) -> Mapping[str, float]:
    """The mean score of each run under one feedback key.

    It is empty, with a finding, where `key` has no scores or where several keys exist and `key` is None.
    Raises ProgramFailure with LangSmith's reason.
    """
    requested = sorted({run for run in runs if run})
    scores = work.read("feedback.json")
    if scores is None:
        scores = _download(requested) if requested else {}
        work.write("feedback.json", scores)
    if key is None and len(scores) > 1:
        report.add_finding(
            f"the source runs have feedback under several keys ({', '.join(sorted(scores))}), so no pairs were made "
            "from feedback; name one key in spec.dataset.feedbackKey"
        )
        return {}
    if key is not None and key not in scores:
        report.add_finding(
            f"spec.dataset.feedbackKey {key!r}: no source run of the dataset has a score with that key"
        )
        return {}
    chosen = key or next(iter(scores), None)
    return scores[chosen] if chosen else {}


def _download(runs: list[str]) -> dict[str, dict[str, float]]:
    """Mean scores by feedback key, then by run."""
    found: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    client = connect_langsmith()
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
    return {key: {run: fmean(values) for run, values in runs.items()} for key, runs in found.items()}
