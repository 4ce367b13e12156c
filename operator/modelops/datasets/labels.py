"""Balance: how the examples are spread over the labels in their metadata."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from modelops.datasets.report import Report, share

ONE_SIDED = 0.9
"""Share of one value of a label from which the label is reported as unbalanced."""
_MOST_VALUES = 20
_NOT_LABELS = frozenset({"agent", "success", "dataset_split"})
_A_LABEL = re.compile(r"[\w .:/+#-]{1,40}")


class LabelCounts:
    """Counts of examples by metadata key and value.

    A key is a label where its values are short words, at most 20 different ones.
    """

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}
        self._no_labels: set[str] = set(_NOT_LABELS)

    def add(self, metadata: Mapping[str, Any]) -> None:
        """Count the metadata of one example."""
        for key, value in metadata.items():
            if key in self._no_labels:
                continue
            counts = self._counts.setdefault(key, Counter())
            text = value if isinstance(value, str) else str(value) if isinstance(value, bool | int) else ""
            if _A_LABEL.fullmatch(text):
                counts[text] += 1
            if len(counts) > _MOST_VALUES or not _A_LABEL.fullmatch(text):
                self._no_labels.add(key)
                del self._counts[key]

    def report_balance(self, report: Report) -> None:
        """Put the shares into the figures, and a finding where nearly all examples have the same value."""
        shares = dict(self._shares())
        if shares:
            report.figures["labels"] = shares
        for key, values in shares.items():
            value, most = next(iter(values.items()))
            if len(values) > 1 and most >= ONE_SIDED:
                report.add_finding(
                    f"{most:.0%} of the examples have metadata.{key} {value!r}: the model learns little from the others"
                )

    def _shares(self) -> Iterator[tuple[str, dict[str, float]]]:
        for key, counts in sorted(self._counts.items()):
            ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            yield key, {value: share(count, counts.total()) for value, count in ordered}
