"""Which examples' content is in the rows: `examples.json`, so that a person's example can be found and removed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from modelops.datasets.choosing import Row
from modelops.datasets.rows import Candidate


class Holdings:
    """Ids by what was asked and answered: a copy that was left out is in the data all the same."""

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        self._ids: defaultdict[tuple[str, bytes], list[str]] = defaultdict(list)
        for one in candidates:
            self._ids[one.group, one.target].append(one.id)

    def ids(self, rows: Sequence[Row]) -> list[str]:
        """Of the examples whose question and answer are in these rows, both answers of a pair; sorted."""
        sides = (one for row in rows for one in (row.better, row.worse) if one is not None)
        return sorted({found for one in sides for found in self._ids[one.group, one.target]})
