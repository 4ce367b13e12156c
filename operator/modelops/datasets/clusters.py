"""Which rows stay together: equal and nearly equal inputs, or what a person says belongs together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from modelops.datasets.choosing import Row
from modelops.datasets.groups import grouped, held_out
from modelops.datasets.near import NearIndex, Shingles, near_pairs
from modelops.datasets.report import Report, share
from modelops.datasets.request import Request
from modelops.workdir import ProgramFailure

LARGE = 0.5
"""Share of rows in one group from which a split can no longer be near what was asked for."""


class Clusters:
    """Groups of rows, each named by the smallest digest of its members: alone, a row is named by its own."""

    def __init__(self, rows: Sequence[Row], shingles: Shingles, *, group_key: str | None) -> None:
        self._shingles = shingles
        self.boilerplate = shingles.boilerplate()
        numbers = [row.better.number for row in rows]
        signatures, known = shingles.signatures(without=self.boilerplate)
        self.signatures, self.known = signatures[numbers], known[numbers]
        keys: list[list[str]] = [[row.group] for row in rows]
        if group_key:
            for row, own in zip(rows, keys, strict=True):
                own += [f"key {row.better.key}"] if row.better.key is not None else []
        else:
            for number, (one, other) in enumerate(near_pairs(self.signatures, self.known)):
                keys[one].append(f"near {number}")
                keys[other].append(f"near {number}")
        roots = grouped(keys)
        names: defaultdict[int, list[str]] = defaultdict(list)
        for root, row in zip(roots, rows, strict=True):
            names[root].append(row.group)
        smallest = {root: min(own) for root, own in names.items()}
        self.names = [smallest[root] for root in roots]

    def index(self, numbers: Sequence[int]) -> NearIndex:
        """Of these rows: what later programs compare with."""
        chosen = np.array(numbers, dtype=np.int64)
        chosen = chosen[self.known[chosen]]
        return NearIndex(signatures=self.signatures[chosen], boilerplate=self.boilerplate)


def split(
    rows: Sequence[Row], clusters: Clusters, *, request: Request, dataset: str, report: Report
) -> tuple[list[int], list[int]]:
    """The numbers of the rows to train on and of those held out, by whole groups. Raises ProgramFailure."""
    sizes = Counter(clusters.names)
    largest = max(sizes.values())
    alone = len(rows) - len({row.group for row in rows})
    report.figures["groups"] = {
        "by": request.group_key or "near-copies of the inputs",
        "count": len(sizes),
        "largest": largest,
        "rows_with_another_ones_inputs": alone,
    }
    apart = held_out(clusters.names, fraction=request.split.test_fraction, seed=request.split.seed)
    if not apart:
        raise ProgramFailure("DatasetTooSmall", _all_alike(rows, request=request, dataset=dataset))
    for sentence in _remarks(rows, sizes, request=request):
        report.find(sentence)
    train = [number for number, name in enumerate(clusters.names) if name not in apart]
    test = [number for number, name in enumerate(clusters.names) if name in apart]
    return train, test


def _all_alike(rows: Sequence[Row], *, request: Request, dataset: str) -> str:
    if len({row.group for row in rows}) == 1:
        return f"all {len(rows)} usable examples have the same inputs; add different ones"
    why = f"have the same {request.group_key}" if request.group_key else "are near-copies of each other"
    return (
        f"all {len(rows)} usable examples of {dataset} {why}, the first being {rows[0].id}, so that none can "
        "be held out; add different ones, or say in spec.dataset.groupKey what belongs together"
    )


def _remarks(rows: Sequence[Row], sizes: Counter[str], *, request: Request) -> Iterator[str]:
    largest = max(sizes.values())
    if request.group_key:
        without = sum(row.better.key is None for row in rows)
        if without:
            yield f"{without} of {len(rows)} examples have no {request.group_key} and are grouped by their inputs only"
    elif len(sizes) < len({row.group for row in rows}):
        near = len({row.group for row in rows}) - len(sizes)
        yield f"{near} examples are near-copies of another one and stay on its side of the split"
    if largest > 1 and share(largest, len(rows)) > LARGE:
        yield f"{largest} of {len(rows)} examples are one group: the split is far from what was asked for"
