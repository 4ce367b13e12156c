"""Which examples are so alike that they must stay on one side of a split: invariant 11.

Two texts are equal here when they are equal after case, punctuation and spacing are taken away: that finds
copies and reformatted copies. What was edited a little is found by `near`; paraphrases are not found.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_BETWEEN_WORDS = re.compile(r"[\W_]+")
_ASCII = str.maketrans({code: " " for code in range(128) if not chr(code).isalnum()})


def normalised(text: str) -> str:
    """The words and numbers of a text, in lower case, with single spaces between them."""
    return " ".join(_words(text))


def _words(text: str) -> list[str]:
    if text.isascii():  # The same by another way, ten times as fast.
        return text.translate(_ASCII).lower().split()
    return _BETWEEN_WORDS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip().split(" ")


@dataclass(frozen=True, kw_only=True, slots=True)
class Likeness:
    """What of an example's inputs is compared: a digest for copies, the words for near-copies."""

    digest: str
    words: Sequence[str]


def likeness(inputs: Mapping[str, Any]) -> Likeness:
    """Of normalised inputs, whatever the order of their keys; 32 hex digits, and the words of the values.

    Inputs of nothing but punctuation are taken as they are.
    """
    leaves = list(_leaves(inputs))
    words = [_words(leaf) for _, leaf in leaves]
    plain = [" ".join(own) for own in words]
    shown = plain if any(plain) else [leaf for _, leaf in leaves]
    text = "\n".join(f"{path} {leaf}" for (path, _), leaf in zip(leaves, shown, strict=True))
    return Likeness(
        digest=hashlib.sha256(text.encode()).hexdigest()[:32], words=[w for own in words for w in own if w]
    )


def digest(inputs: Mapping[str, Any]) -> str:
    """32 hex digits of an example's normalised inputs."""
    return likeness(inputs).digest


def grouped(keys: Sequence[Iterable[str]]) -> list[int]:
    """The group of each item, as the index of its first member: items that share any key are in one group."""
    parent = list(range(len(keys)))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    holders: defaultdict[str, list[int]] = defaultdict(list)
    for item, own in enumerate(keys):
        for key in own:
            holders[key].append(item)
    for members in holders.values():
        for member in members[1:]:
            low, high = sorted((root(members[0]), root(member)))
            parent[high] = low
    return [root(item) for item in range(len(keys))]


def held_out(groups: Sequence[str], *, fraction: float, seed: str) -> set[str]:
    """The groups that are held out: about `fraction` of the items, at least one group and never all of them.

    A group's place follows from its own content and the seed, so the same data is always split the same way.
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


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from _leaves(value[key], f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item, f"{path}[]")
    elif value is not None:
        yield path, str(value)
