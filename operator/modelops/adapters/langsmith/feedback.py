"""The feedback on the runs of an experiment, which the workspace's own evaluators add some time after the runs.

In LangSmith such an evaluator is a rule with the dataset's id (GET /runs/rules). The service runs it on each new run of
the dataset's experiments, and says nowhere when it is done; only its feedback shows that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from modelops.adapters.langsmith.errors import translated_errors
from modelops.adapters.langsmith.experiments import Experiment

if TYPE_CHECKING:
    from langsmith import Client

MOST_ENTRIES = 200_000
"""Entries of feedback that are read of one experiment."""


def read_feedback(
    client: Client, experiment: Experiment, keys: Sequence[str]
) -> Mapping[tuple[str, str], float]:
    """The newest score of each run and key. Feedback without a score that is a finite number is left out.

    Raises LangSmithUnauthorized, LangSmithUnavailable or LangSmithRefused.
    """
    found: dict[tuple[str, str], tuple[str, float]] = {}
    with translated_errors(doing=f"reading feedback of experiment {experiment.name!r}", url=client.api_url):
        listed = client.list_feedback(feedback_key=list(keys), session=[experiment.id], limit=MOST_ENTRIES)
        for entry in listed:
            score = entry.score
            if entry.run_id is None or not isinstance(score, bool | int | float) or not math.isfinite(score):
                continue
            place, made = (str(entry.run_id), entry.key), str(entry.created_at)
            if place not in found or made >= found[place][0]:
                found[place] = made, float(score)
    return {place: score for place, (_, score) in found.items()}
