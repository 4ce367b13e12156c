"""Which rows stay together in the split: rows with equal or nearly equal prompts, or with the same group key."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from modelops.datasets.conversations import conversation_keys
from modelops.datasets.group_split import choose_held_out, connected_groups
from modelops.datasets.near import NearIndex, Shingles, near_pairs
from modelops.datasets.report import Report, share
from modelops.datasets.request import Request
from modelops.datasets.training_rows import Row
from modelops.grammar import counted, verb
from modelops.workdir import ProgramFailure

LARGE = 0.5
"""Share of rows in one group above which the split cannot be near the requested fraction."""


class RowGroups:
    """The group of each row. A group has the name of its smallest prompt digest.

    `instructions` are texts that the prompt contract puts into each prompt, each given by its words; what is in them is
    not compared.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        shingles: Shingles,
        *,
        group_key: str | None,
        instructions: Sequence[Sequence[str]] = (),
    ) -> None:
        constant = Shingles()
        constant.add(instructions)
        self.boilerplate = np.union1d(shingles.boilerplate(), constant.buckets())
        self.common = shingles.common()
        numbers = [row.better.number for row in rows]
        signatures, known = shingles.signatures(without=self.boilerplate, common=self.common)
        self.signatures, self.known = signatures[numbers], known[numbers]
        keys = [{row.prompt_digest} for row in rows]
        if group_key:
            for row, row_keys in zip(rows, keys, strict=True):
                row_keys |= {f"key {row.better.group_value}"} if row.better.group_value is not None else set()
        else:
            for one, other in near_pairs(self.signatures, self.known):
                keys[one].add(f"near {one}")
                keys[other].add(f"near {one}")
        conversations = conversation_keys([row.better.turns for row in rows])
        roots = connected_groups(keys)
        self.without_conversations = len(set(roots))
        if any(conversations):
            roots = connected_groups([own | more for own, more in zip(keys, conversations, strict=True)])
        digests: defaultdict[int, list[str]] = defaultdict(list)
        for root, row in zip(roots, rows, strict=True):
            digests[root].append(row.prompt_digest)
        smallest = {root: min(members) for root, members in digests.items()}
        self.names = [smallest[root] for root in roots]

    def index(self, numbers: Sequence[int]) -> NearIndex:
        """An index of these rows, with which later programs find near-copies of them."""
        chosen = np.array(numbers, dtype=np.int64)
        chosen = chosen[self.known[chosen]]
        return NearIndex(signatures=self.signatures[chosen], boilerplate=self.boilerplate, common=self.common)


def split_by_groups(
    rows: Sequence[Row], groups: RowGroups, *, request: Request, dataset: str, report: Report
) -> tuple[list[int], list[int]]:
    """The numbers of the rows to train on, and of the rows to hold out; a group is never divided.

    Raises ProgramFailure DatasetTooSmall where all rows are in one group.
    """
    sizes = Counter(groups.names)
    report.figures["groups"] = {
        "by": request.group_key or "near-copies of the prompts",
        "count": len(sizes),
        "largest": max(sizes.values()),
        "rows_with_another_ones_inputs": len(rows) - len({row.prompt_digest for row in rows}),
    }
    fraction, seed = request.split.test_fraction, request.split.seed
    held_out = choose_held_out(groups.names, fraction=fraction, seed=seed)
    if not held_out:
        raise ProgramFailure("DatasetTooSmall", _one_group_message(rows, request=request, dataset=dataset))
    for sentence in _findings(rows, groups, sizes, request=request):
        report.add_finding(sentence)
    train = [number for number, name in enumerate(groups.names) if name not in held_out]
    test = [number for number, name in enumerate(groups.names) if name in held_out]
    return train, test


def _one_group_message(rows: Sequence[Row], *, request: Request, dataset: str) -> str:
    usable = counted(len(rows), "usable example")
    if len({row.prompt_digest for row in rows}) == 1:
        return f"all {usable} of {dataset} have the same prompt; add examples with other prompts"
    reason = f"have the same {request.group_key}" if request.group_key else "are near-copies of each other"
    return (
        f"all {usable} of {dataset} {reason}; the first is {rows[0].id}. None can therefore be held out. Add different "
        "examples, or name in spec.dataset.groupKey the key by which examples belong together"
    )


def _findings(
    rows: Sequence[Row], groups: RowGroups, sizes: Counter[str], *, request: Request
) -> Iterator[str]:
    largest, prompts = max(sizes.values()), len({row.prompt_digest for row in rows})
    near, turns = prompts - groups.without_conversations, groups.without_conversations - len(sizes)
    if request.group_key:
        without = sum(row.better.group_value is None for row in rows)
        if without:
            yield (
                f"{counted(without, 'example', of=len(rows))} {verb(without, 'has', 'have')} no {request.group_key} "
                f"and {verb(without, 'is', 'are')} grouped by {verb(without, 'its', 'their')} prompts only"
            )
    elif near:
        yield (
            f"{counted(near, 'example')} {verb(near, 'is a near-copy', 'are near-copies')} of another one and "
            f"{verb(near, 'stays', 'stay')} on its side of the split"
        )
    if turns:
        yield (
            f"{counted(turns, 'example')} {verb(turns, 'is a turn', 'are turns')} of the same conversation as another "
            f"one and {verb(turns, 'stays', 'stay')} on its side of the split"
        )
    if largest > 1 and share(largest, len(rows)) > LARGE:
        yield (
            f"{counted(largest, 'example', of=len(rows))} are one group, so the split is far from the requested "
            "fraction"
        )
