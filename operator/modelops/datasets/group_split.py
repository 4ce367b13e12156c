"""A repeatable split by whole groups, so that similar examples are never on both sides of it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence


def connected_groups(keys: Sequence[Iterable[str]]) -> list[int]:
    """The group of each item, as the index of its first member. Items that share any key are in the same group."""
    parent = list(range(len(keys)))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    holders: defaultdict[str, list[int]] = defaultdict(list)
    for item, item_keys in enumerate(keys):
        for key in item_keys:
            holders[key].append(item)
    for members in holders.values():
        for member in members[1:]:
            low, high = sorted((root(members[0]), root(member)))
            parent[high] = low
    return [root(item) for item in range(len(keys))]


def choose_held_out(groups: Sequence[str], *, fraction: float, seed: str) -> set[str]:
    """The groups to hold out: about `fraction` of the items, at least one group and never all of them.

    The order of the groups follows from their names and the seed, so the same data is always split the same way.
    """
    sizes: defaultdict[str, int] = defaultdict(int)
    for group in groups:
        sizes[group] += 1
    order = sorted(sizes, key=lambda group: hashlib.sha256(f"{seed}\n{group}".encode()).digest())
    wanted, chosen, count = fraction * len(groups), set[str](), 0
    for group in order[:-1]:
        if chosen and count + sizes[group] / 2 > wanted:
            break
        chosen.add(group)
        count += sizes[group]
    return chosen
