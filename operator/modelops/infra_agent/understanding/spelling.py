"""Spelling mistakes in the words of this field."""

from __future__ import annotations

from collections.abc import Collection

_LEAST = 5
"""Shorter words have too many ordinary neighbours."""


def corrected(word: str, *, known: Collection[str], targets: Collection[str]) -> str:
    """The word of `targets` that `word` is a misspelling of, or `word`.

    One slip is allowed, and two in nine letters or more. A word of up to five letters may only have swapped, missed
    or doubled letters: with another letter in its place it is mostly another word (`model`, `modal`). The first letter
    must be right, or be swapped with the second.
    """
    if len(word) < _LEAST or word in known or not word.isalpha():
        return word
    best: tuple[tuple[int, int], str] | None = None
    tied = False
    for target in targets:
        if len(target) < _LEAST or abs(len(target) - len(word)) > 2 or target[0] not in word[:2]:
            continue
        if target[0] != word[0] and target[:2] != word[1::-1]:
            continue
        slips = distance(word, target)
        allowed = 2 if min(len(word), len(target)) >= 9 else 1
        if slips > allowed or (
            len(word) <= 5 and len(target) == len(word) and sorted(word) != sorted(target)
        ):
            continue
        rank = (slips, -len(target))  # a missing letter is more usual than one too many
        if best is None or rank < best[0]:
            best, tied = (rank, target), False
        elif rank == best[0]:
            tied = True
    return word if best is None or tied else best[1]


def distance(one: str, other: str) -> int:
    """The number of inserted, missing, replaced or swapped letters (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        following = [i]
        for j, b in enumerate(other, 1):
            cost = min(row[j] + 1, following[j - 1] + 1, row[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            following.append(cost)
        before, row = row, following
    return row[-1]
