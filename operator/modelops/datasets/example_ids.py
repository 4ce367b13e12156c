"""Ids of the examples whose content is in the rows (`examples.json`), to find and remove a person's data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from modelops.datasets.rendered_dataset import PromptCompletion
from modelops.datasets.training_rows import Row


class ExampleIds:
    """Ids of examples by question and answer. They include duplicates that were left out, since their content is in
    the dataset all the same."""

    def __init__(self, completions: Iterable[PromptCompletion]) -> None:
        self._ids: defaultdict[tuple[tuple[str, bytes], bytes], list[str]] = defaultdict(list)
        for one in completions:
            self._ids[one.question, one.target_digest].append(one.id)

    def of_rows(self, rows: Sequence[Row]) -> list[str]:
        """Sorted ids of the examples whose question and answer are in these rows, both answers of a pair included."""
        answers = (one for row in rows for one in (row.better, row.worse) if one is not None)
        return sorted({found for one in answers for found in self._ids[one.question, one.target_digest]})
